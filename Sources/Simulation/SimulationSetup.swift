package import Routing

/// What is simulated, apart from the workload.
package struct SimulationSetup: Sendable {
    /// Something that happens to a server.
    package struct Incident: Sendable, Equatable {
        package enum Kind: Sendable, Equatable {
            /// Its speed from then on, relative to its model's.
            case speed(Double)
            /// It loses everything that it had, and takes no connections for so many seconds.
            case restart(downSeconds: Double)
        }

        /// In seconds from the start.
        package var at: Double
        /// Which server, counted from 0.
        package var server: Int
        package var kind: Kind

        package init(at: Double, server: Int, _ kind: Kind) {
            self.at = at
            self.server = server
            self.kind = kind
        }
    }

    /// In configured order.
    package var servers: [EngineModel]
    package var rule: PickingRule
    /// Nobody is refused by default: rules can only be compared on the same requests.
    package var policy: RoutingPolicy
    /// How much the speed of a request differs from the server's: the deviation of its logarithm.
    package var speedNoise = 0.0
    package var seed: UInt64 = 1
    /// Requests that begin earlier are not counted: seconds from the start.
    package var countedFrom = 0.0
    /// When the workload ends, in seconds; for turns per hour. Nil: with its last answer.
    package var countedUntil: Double?
    package var incidents: [Incident] = []
    /// Between the probes of a server. Nil: it is probed at the start only, and after incidents.
    package var probeSeconds: Double? = 1

    package init(servers: [EngineModel], rule: PickingRule) {
        self.servers = servers
        self.rule = rule
        policy = RoutingPolicy()
        policy.maxWaiting = .max
        policy.maxWait = .seconds(1_000_000)
    }

    var fleet: Fleet {
        let servers = servers.indices.map { Fleet.Server(id: Simulator.backend($0), name: "server-\($0 + 1)") }
        var fleet = Fleet(servers: servers, routes: nil, fallback: nil, policy: policy)
        fleet.rule = rule
        return fleet
    }
}

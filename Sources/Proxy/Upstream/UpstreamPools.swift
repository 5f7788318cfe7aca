import NIOCore
import Routing

/// One loop's pools, one for each configured server.
struct UpstreamPools {
    private let loop: any EventLoop
    private let dialer: any UpstreamDialer
    private var pools = BackendTable<UpstreamPool>()
    private var retiredDials = 0
    private let room = IdleRoom()

    init(loop: any EventLoop, dialer: any UpstreamDialer) {
        self.loop = loop
        self.dialer = dialer
    }

    subscript(id: BackendID) -> UpstreamPool? {
        // Otherwise reading it from a property of a class would copy this value.
        mutating get { pools[id] }
    }

    var all: [UpstreamPool] { pools.values }

    /// Connections opened since start.
    var dialled: Int { pools.values.reduce(retiredDials) { $0 + $1.dialled } }

    /// Replaces the endpoints. Pools of unchanged servers are kept.
    ///
    /// - Returns: the pools that are no longer needed; the caller retires them.
    mutating func replace(_ endpoints: [BackendEndpoint], idleLimit: Int) -> [UpstreamPool] {
        room.limit = idleLimit
        let old = pools
        pools = BackendTable(
            endpoints.map { endpoint in
                if let known = old[endpoint.id], known.endpoint == endpoint { return (endpoint.id, known) }
                return (endpoint.id, UpstreamPool(endpoint: endpoint, room: room, loop: loop, dialer: dialer))
            })
        let retired = old.values.filter { pools[$0.endpoint.id] !== $0 }
        for pool in retired { retiredDials += pool.dialled }
        return retired
    }
}

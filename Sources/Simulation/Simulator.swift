import Routing

/// Plays a workload in virtual time, through the very router that serves, against modelled servers.
///
/// Everything follows from the setup and the workload: the same ones give the same report.
package struct Simulator: ~Copyable {
    enum Event: Sendable {
        case arrives(request: Int)
        /// A batch ends.
        case engine(Int)
        /// All servers are probed.
        case probes
        case probe(server: Int)
        /// The router asked for `clockAdvanced`.
        case wakes
        case incident(Int)
        /// A server takes connections again.
        case comesBack(server: Int)
        /// The request was granted a server that takes no connections.
        case refusedConnection(request: Int)
        /// The router gave the request's server up.
        case losesServer(request: Int)
    }

    let setup: SimulationSetup
    var workload: any Workload
    var router = Router()
    var servers: [SimulatedServer]
    var queue = EventQueue<Event>()
    /// Every request so far; its ticket has its index.
    var requests: [PlayedRequest] = []
    /// Requests that have arrived or will arrive, and have not ended.
    var open = 0
    var tally: Tally
    /// Virtual seconds from the start.
    var now = 0.0

    private init(_ setup: SimulationSetup, _ workload: any Workload) {
        self.setup = setup
        self.workload = workload
        servers = setup.servers.map { SimulatedServer(engine: SimulatedEngine($0)) }
        tally = Tally(setup)
    }

    /// Plays the workload to its end.
    package static func play(_ workload: any Workload, _ setup: SimulationSetup) -> SimulationReport {
        var simulator = Simulator(begins: workload, setup)
        simulator.play(until: .infinity)
        return simulator.tally.report
    }

    init(begins workload: any Workload, _ setup: SimulationSetup) {
        self.init(setup, workload)
        begin()
    }

    /// Plays on to that time, or a little beyond, or to the end of the workload.
    mutating func play(until end: Double) {
        while open > 0, now < end, let (time, event) = queue.next() {
            now = max(now, time)
            happens(event)
        }
    }

    private mutating func begin() {
        tell(.fleetChanged(setup.fleet))
        for server in servers.indices {
            probe(server)
            tell(.modelsListed(Self.backend(server), workload.models.map { ListedModel($0) }))
        }
        for (number, incident) in setup.incidents.enumerated() { queue.add(.incident(number), at: incident.at) }
        if let pause = setup.probeSeconds { queue.add(.probes, at: pause) }
        for request in workload.start() { expect(request) }
    }

    private mutating func happens(_ event: Event) {
        switch event {
        case .arrives(let number):
            tell(.requestArrived(Self.ticket(number), requests[number].request.traits))
        case .engine(let server): computes(server)
        case .probes:
            for server in servers.indices { probe(server) }
            if let pause = setup.probeSeconds { queue.add(.probes, at: now + pause) }
        case .probe(let server): probe(server)
        case .wakes: tell(.clockAdvanced)
        case .incident(let number): incident(setup.incidents[number])
        case .comesBack(let server): if servers[server].downUntil <= now { probe(server) }
        case .refusedConnection(let number): attemptFailed(number, .connect("refused"))
        case .losesServer(let number): losesServer(number)
        }
    }

    /// Tells the router, and carries out what it decides.
    mutating func tell(_ event: Routing.Event) {
        for effect in router.handle(event, at: Self.moment(now)) { carryOut(effect) }
    }

    /// The request will arrive.
    mutating func expect(_ request: SimulatedRequest) {
        requests.append(PlayedRequest(request: request))
        open += 1
        queue.add(.arrives(request: requests.count - 1), at: max(now, request.arrivesAt))
    }

    // MARK: Names

    static func backend(_ server: Int) -> BackendID { BackendID(rawValue: server + 1) }
    static func server(_ backend: BackendID) -> Int { backend.rawValue - 1 }
    static func ticket(_ request: Int) -> Ticket { Ticket(owner: 0, sequence: UInt64(request) + 1) }
    static func request(_ ticket: Ticket) -> Int { Int(ticket.rawValue) - 1 }
    /// Later than this, time stands still for the router: 9e18 ns, almost three centuries.
    static func moment(_ seconds: Double) -> Moment { Moment(nanoseconds: Int64((min(seconds, 9e9) * 1e9).rounded())) }
    static func seconds(_ moment: Moment) -> Double { Double(moment.nanoseconds) / 1e9 }
}

/// A server of the simulation.
struct SimulatedServer: Sendable {
    var engine: SimulatedEngine
    /// When the end of its batch is expected.
    var expectedAt: Double?
    /// It takes no connections before.
    var downUntil = 0.0
}

/// A request and what became of it.
struct PlayedRequest: Sendable {
    let request: SimulatedRequest
    /// Where it runs, or ran last; nil while it waits for the first time.
    var server: Int?
    /// When its first token came.
    var firstAt: Double?
    var isRunning = false
    var hasEnded = false
}

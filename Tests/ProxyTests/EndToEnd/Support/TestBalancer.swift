import FakeBackend
import NIOCore
import NIOPosix
import NIOSSL
import Proxy
import Routing
import NIOConcurrencyHelpers
import Testing
import Wire

/// A balancer on a free port with engines behind it. Nothing probes: health is what the test says.
struct TestBalancer: Sendable {
    let proxy: ProxyServer
    let router: SharedRouter
    let setup: Setup
    /// What `LocalEndpoints`, the observer and the access log were told.
    let notes: Notes
    fileprivate let engines: [String: FakeLlamaServer]

    var port: Int { proxy.port }

    func engine(_ name: String) throws -> FakeLlamaServer { try #require(engines[name], "no fake engine \(name)") }

    func id(_ name: String) throws -> BackendID {
        BackendID(rawValue: try #require(setup.servers.firstIndex { $0.name == name }, "no server \(name)"))
    }

    func connect() async throws -> RawClient {
        try await RawClient.connect(port: port, tls: setup.identity == nil ? nil : .client(trusts: "authority"))
    }

    /// Sends one request on a connection of its own and takes the answer.
    func ask(_ request: String) async throws -> HTTPAnswer {
        let client = try await connect()
        try await client.send(request)
        let answer = try await client.answer(toHead: request.hasPrefix("HEAD "))
        await client.close()
        return answer
    }

    func counters() async throws -> Counters { try await proxy.counters().get() }

    // MARK: What probes would say

    func isUp(_ name: String, slots: Int? = nil, isBusy: Bool = false) throws {
        let slots = slots.map { BackendReport.Slots(total: $0, busy: 0) }
        router.send(.probed(try id(name), BackendReport(isBusy: isBusy, slots: slots)))
    }

    /// Two failed probes in a row.
    func isDown(_ name: String) throws {
        for _ in 0..<2 { router.send(.probeFailed(try id(name), reason: "the test says so")) }
    }

    // MARK: Waiting

    /// Waits until the fleet is as wanted.
    @discardableResult
    func fleet(_ what: String, where isWanted: (FleetSnapshot) -> Bool) async throws -> FleetSnapshot {
        try await wait(for: what, { router.snapshot() }, where: isWanted)
    }

    /// Waits until nothing waits or runs any more.
    func isAtRest() async throws {
        try await fleet("nothing waiting, nothing in flight") { fleet in
            fleet.waitingCount == 0 && fleet.runningCount == 0
                && fleet.servers.allSatisfy { $0.inFlight == 0 && $0.passing == 0 }
        }
    }

    /// Waits until so many requests have ended, and returns what was noted of them.
    @discardableResult
    func records(_ count: Int) async throws -> [EndedRequest] {
        try await wait(for: "\(count) ended requests", { notes.records }, where: { $0.count >= count })
    }
}

/// Looks at a value until it is as wanted. Throws when that takes too long.
@discardableResult
func wait<Value>(
    for what: String, _ look: () async throws -> Value, where isWanted: (Value) -> Bool
) async throws -> Value {
    let deadline = ContinuousClock.now + .seconds(20)
    while true {
        let value = try await look()
        if isWanted(value) { return value }
        guard ContinuousClock.now < deadline else { throw TimedOut("\(what) did not happen; now: \(value)") }
        try await Task.sleep(for: .milliseconds(1))
    }
}

/// What a test wants to be there.
struct Setup: Sendable {
    struct Server: Sendable {
        enum Engine: Sendable {
            case fake(Behaviour)
            /// Something that listens (or not) on that port of this machine.
            case port(Int)
        }

        var name: String
        var engine = Engine.fake(Behaviour())
        var requestMax: Int?
        /// What its model list says; nil: it has not told.
        var models: [String]? = ["m"]
        var pathPrefix = ""
        var authorization: String?
        var extraHeaders: [HeaderField] = []
        var keepsConnectionAfterStream = false
        var keepsVolatilePrompts = false
        /// A name of `Setup.names`, or an address.
        var host = "127.0.0.1"
        var transport = Transport.plain

        init(_ name: String, _ behaviour: Behaviour = Behaviour(), requestMax: Int? = nil, models: [String]? = ["m"]) {
            self.name = name
            self.requestMax = requestMax
            self.models = models
            var behaviour = behaviour
            behaviour.name = behaviour.name ?? name
            engine = .fake(behaviour)
        }

        init(_ name: String, port: Int) {
            self.name = name
            engine = .port(port)
        }
    }

    var servers = [Server("A")]
    /// Patterns and the names of their servers; nil: by the servers' lists.
    var routes: [(pattern: String, servers: [String])]?
    /// Nil: none.
    var fallback: String? = "A"
    var policy = RoutingPolicy()
    var keyLimits: [String: KeyLimits] = [:]
    var settings = Setup.patientSettings
    var maxConnections = 1000
    var names = TestNames()
    /// Nil: clients are not encrypted.
    var identity = RawClient.areAllEncrypted ? try? ListenerIdentity(.server("engine")) : nil
    var moreListeners: [Listener] = []
    /// Nil: the events are not recorded.
    var recordingLimit: Int?

    /// Hundreds of tests run at once. On a busy machine seconds may pass between two steps of one of them, and it is not the
    /// client's or the engine's fault.
    private static var patientSettings: ProxySettings {
        var settings = ProxySettings()
        settings.timeouts.head = .seconds(60)
        settings.timeouts.connect = .seconds(30)
        return settings
    }

    init(_ configure: (inout Setup) -> Void = { _ in }) {
        settings.localAccess.names.insert("balancer.example")
        configure(&self)
    }

    var fleet: Fleet {
        let ids = Dictionary(uniqueKeysWithValues: servers.indices.map { (servers[$0].name, BackendID(rawValue: $0)) })
        var fleet = Fleet(
            servers: servers.indices.map {
                .init(id: BackendID(rawValue: $0), name: servers[$0].name, requestMax: servers[$0].requestMax)
            },
            routes: routes.map {
                $0.map { .init(pattern: ModelPattern($0.pattern), servers: $0.servers.compactMap { ids[$0] }) }
            },
            fallback: fallback.flatMap { ids[$0] }, policy: policy)
        fleet.keyLimits = keyLimits
        return fleet
    }

    fileprivate func settings(ports: [Int]) -> ProxySettings {
        var settings = settings
        settings.endpoints = zip(servers.indices, ports).map { index, port in
            let server = servers[index]
            return BackendEndpoint(
                id: BackendID(rawValue: index), name: server.name, host: server.host, port: port, transport: server.transport,
                pathPrefix: server.pathPrefix, authorization: server.authorization, extraHeaders: server.extraHeaders,
                keepsConnectionAfterStream: server.keepsConnectionAfterStream,
                keepsVolatilePrompts: server.keepsVolatilePrompts)
        }
        return settings
    }
}

/// Answers the balancer's own paths with their names, and remembers what ended.
final class Notes: LocalEndpoints, RequestObserver, AccessLogSink {
    private let state = NIOLockedValueBox<(records: [EndedRequest], log: [UInt8])>(([], []))

    var records: [EndedRequest] { state.withLockedValue { $0.records } }
    var log: String { state.withLockedValue { String(decoding: $0.log, as: UTF8.self) } }

    func answer(_ request: LocalRequest) -> LocalAnswer {
        if request.target == "/admin/events" { return .events { _ = $0.send(Array("data: hello\n\n".utf8)) } }
        return .now(LocalResponse(contentType: "text/plain", body: Array("own \(request.method) \(request.target)".utf8)))
    }

    func requestEnded(_ record: borrowing RequestRecord) {
        let ended = EndedRequest(record)
        state.withLockedValue { $0.records.append(ended) }
    }

    func write(_ lines: [UInt8]) { state.withLockedValue { $0.log += lines } }

    var droppedLines: Int { 0 }
}

/// Lets a few tests at a time through. All at once they would wait for each other's processor time while the balancer's
/// time limits run.
private actor Turnstile {
    private var free = 8
    private var line: [CheckedContinuation<Void, Never>] = []

    func enter() async {
        if free > 0 { free -= 1 } else { await withCheckedContinuation { line.append($0) } }
    }

    func leave() {
        if line.isEmpty { free += 1 } else { line.removeFirst().resume() }
    }
}

private let turnstile = Turnstile()

/// Runs a test against a balancer. At its end everything is closed, and nothing may be left in the router's books.
func withBalancer(_ setup: Setup = Setup(), _ body: (TestBalancer) async throws -> Void) async throws {
    await turnstile.enter()
    let outcome = await Result { try await runBalancer(setup, body) }
    await turnstile.leave()
    try outcome.get()
}

private func runBalancer(_ setup: Setup, _ body: (TestBalancer) async throws -> Void) async throws {
    let group = MultiThreadedEventLoopGroup.singleton
    var engines: [String: FakeLlamaServer] = [:]
    var ports: [Int] = []
    for server in setup.servers {
        switch server.engine {
        case .fake(let behaviour):
            let engine = try await FakeLlamaServer.start(behaviour, group: group)
            engines[server.name] = engine
            ports.append(engine.port)
        case .port(let port): ports.append(port)
        }
    }
    let router = SharedRouter(eventLoops: Array(group.makeIterator()), recordingLimit: setup.recordingLimit)
    router.send(.fleetChanged(setup.fleet))
    for (index, server) in setup.servers.enumerated() {
        let report = BackendReport(isBusy: false, resumesStreams: !server.keepsConnectionAfterStream)
        router.send(.probed(BackendID(rawValue: index), report))
        if let models = server.models { router.send(.modelsListed(BackendID(rawValue: index), models.map { ListedModel($0) })) }
    }
    let notes = Notes()
    let proxy = try await ProxyServer.start(
        on: [Listener(.tcp(host: "127.0.0.1", port: 0), identity: setup.identity)] + setup.moreListeners,
        maxConnections: setup.maxConnections, settings: setup.settings(ports: ports),
        .init(
            group: group, router: router, localEndpoints: notes, observer: notes, accessLog: notes,
            names: setup.names.resolver))
    let balancer = TestBalancer(proxy: proxy, router: router, setup: setup, notes: notes, engines: engines)
    let outcome = await Result { try await body(balancer) }
    await proxy.shutDown(grace: .zero)
    let books = await Result { try await balancer.isAtRest() }
    for engine in engines.values { try? await engine.stop() }
    try outcome.get()
    try books.get()
}

extension TestBalancer {
    /// The settings in force, to be changed and given to `reload`.
    func currentSettings() -> ProxySettings {
        setup.settings(
            ports: setup.servers.map { server in
                switch server.engine {
                case .fake: engines[server.name]?.port ?? 0
                case .port(let port): port
                }
            })
    }
}

extension Result where Failure == any Error {
    fileprivate init(_ body: () async throws -> Success) async {
        do { self = .success(try await body()) } catch { self = .failure(error) }
    }
}

/// A port on which nobody listens, nor will: it is that of a connection's other end, which stays open.
func closedPort() async throws -> Int {
    let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        .bind(host: "127.0.0.1", port: 0).get()
    let client = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        .connect(host: "127.0.0.1", port: listener.localAddress?.port ?? 0).get()
    heldOpen.withLockedValue { $0 += [listener, client] }
    return client.localAddress?.port ?? 0
}

private let heldOpen = NIOLockedValueBox<[any Channel]>([])

/// What tests look at of a `RequestRecord`, which itself cannot be kept.
struct EndedRequest: Sendable {
    let requestID: String
    let startedAt: Int
    let address: String
    let username: String?
    let status: Int
    let ending: RequestRecord.Ending
    let queuedMilliseconds: Double
    let totalMilliseconds: Double
    let bytesSent: Int
    let usage: AnswerUsage?
    let keyName: String?
    /// Its line in the access log.
    let line: String

    init(_ record: borrowing RequestRecord) {
        requestID = record.requestID
        startedAt = record.startedAt
        address = record.address
        username = record.username
        status = record.status
        ending = record.ending
        queuedMilliseconds = record.queuedMilliseconds
        totalMilliseconds = record.totalMilliseconds
        bytesSent = record.bytesSent
        usage = record.usage
        keyName = record.keyName
        var text = ByteWriter()
        var clock = ClockText()
        record.write(into: &text, &clock)
        line = String(decoding: text.bytes, as: UTF8.self)
    }
}

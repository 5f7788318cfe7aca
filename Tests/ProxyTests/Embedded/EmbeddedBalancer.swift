import NIOConcurrencyHelpers
import NIOCore
import NIOEmbedded
import Routing
import Testing

@testable import Proxy

/// One loop of the proxy without a thread and without sockets. Everything happens inside the test's own calls, in their order.
final class EmbeddedBalancer {
    let loop = EmbeddedEventLoop()
    let router: SharedRouter
    let context: LoopContext
    let notes = EmbeddedNotes()
    let dialer: EmbeddedDialer
    private(set) var sockets: [EmbeddedSocket] = []

    /// - Parameters:
    ///   - servers: their names; each is up, lists the model "m", and has the key "key-NAME".
    ///   - requestMax: of each.
    init(
        _ servers: [String] = ["A"], requestMax: Int? = nil, settings: ProxySettings = ProxySettings(),
        policy: RoutingPolicy = RoutingPolicy()
    ) {
        dialer = EmbeddedDialer(loop: loop)
        router = SharedRouter(eventLoops: [])
        let ids = servers.indices.map { BackendID(rawValue: $0) }
        router.send(
            .fleetChanged(
                Fleet(
                    servers: zip(ids, servers).map { .init(id: $0, name: $1, requestMax: requestMax) }, routes: nil,
                    fallback: ids.first, policy: policy)))
        for id in ids {
            router.send(.probed(id, BackendReport(isBusy: false, resumesStreams: true)))
            router.send(.modelsListed(id, [ListedModel("m")]))
        }
        notes.promise(on: loop)
        let owner = router.addOwner()
        context = LoopContext(
            index: owner, eventLoop: loop, router: router, localEndpoints: notes, observer: notes, accessLog: nil, dialer: dialer,
            viaName: "llama-balancer")
        router.attach(LoopClient(eventLoop: loop, context: NIOLoopBound(context, eventLoop: loop)), as: owner)
        var settings = settings
        settings.localAccess.names.insert("balancer.example")
        settings.endpoints = zip(ids, servers).map { id, name in
            BackendEndpoint(id: id, name: name, host: "\(name.lowercased()).example", port: 80, authorization: "key-\(name)")
        }
        context.apply(settings)
    }

    // MARK: Connections

    func client() throws -> EmbeddedSocket {
        let socket = EmbeddedSocket(loop: loop)
        try socket.open { channel in
            try channel.pipeline.syncOperations.addHandler(ClientHandler(loop: context, limit: ConnectionLimit(1000)))
        }
        sockets.append(socket)
        return socket
    }

    func handler(of client: EmbeddedSocket) throws -> ClientHandler {
        try client.channel.pipeline.syncOperations.handler(type: ClientHandler.self)
    }

    /// A connection that the server's pool keeps.
    func keptConnection(to server: Int = 0) throws -> EmbeddedSocket {
        let pool = try #require(context.pool(of: BackendID(rawValue: server)))
        let connection = UpstreamConnection(pool: pool)
        let socket = EmbeddedSocket(loop: loop)
        try socket.open { try $0.pipeline.syncOperations.addHandler(connection) }
        connection.giveBack()
        sockets.append(socket)
        return socket
    }

    /// The oldest dial that waits is answered.
    func acceptDial(_ prepare: (EmbeddedSocket) -> Void = { _ in }) throws -> EmbeddedSocket {
        let socket = try dialer.accept(prepare)
        sockets.append(socket)
        return socket
    }

    // MARK: The end

    /// Requests in the router's books.
    var inFlight: Int {
        let fleet = router.snapshot()
        return fleet.runningCount + fleet.waitingCount
    }

    /// Runs what has been put off, also to later turns of the loop.
    func run() { loop.advanceTime(by: .seconds(10)) }

    /// The loop's next turn.
    func nextTurn() { loop.advanceTime(by: .milliseconds(1)) }

    /// Closes everything.
    func shutDown() {
        for socket in sockets {
            socket.onWrite = nil
            socket.onFlush = nil
        }
        context.closeAll()
        for socket in sockets { socket.end() }
        dialer.refuseAll()
        for promise in notes.takePromises() { promise.fail(ChannelError.ioOnClosedChannel) }
        run()
        for socket in sockets + dialer.opened { socket.end() }
        run()
    }
}

/// Runs a test with a balancer without sockets. At its end every client leaves, and nothing may be left in the router's books.
func withEmbeddedBalancer(
    _ servers: [String] = ["A"], requestMax: Int? = nil, settings: ProxySettings = ProxySettings(),
    sourceLocation: SourceLocation = #_sourceLocation, _ body: (EmbeddedBalancer) throws -> Void
) throws {
    let balancer = EmbeddedBalancer(servers, requestMax: requestMax, settings: settings)
    defer {
        balancer.shutDown()
        #expect(balancer.inFlight == 0, sourceLocation: sourceLocation)
        #expect(
            balancer.context.clients.connected.isEmpty && balancer.context.clients.detached.isEmpty,
            sourceLocation: sourceLocation)
    }
    try body(balancer)
}

/// Dials without sockets: each dial waits until the test answers it.
final class EmbeddedDialer: UpstreamDialer {
    private struct Dial {
        var host: String
        var initialize: @Sendable (any Channel) throws -> Void
        var promise: EventLoopPromise<any Channel>
    }

    private let loop: EmbeddedEventLoop
    private var waiting: [Dial] = []
    private(set) var opened: [EmbeddedSocket] = []
    /// Answers each dial at once, before the call returns.
    var answersAtOnce = false

    init(loop: EmbeddedEventLoop) { self.loop = loop }

    /// The hosts of the dials that wait.
    var hosts: [String] { waiting.map(\.host) }

    func connect(
        to server: ServerAddress, within limit: Interval, on loop: any EventLoop, options: Dialer.SocketOptionValues,
        preferred: SocketAddress?, initialize: @escaping @Sendable (any Channel) throws -> Void
    ) -> EventLoopFuture<any Channel> {
        let dial = Dial(host: server.host, initialize: initialize, promise: loop.makePromise())
        waiting.append(dial)
        if answersAtOnce { _ = try? accept() }
        return dial.promise.futureResult
    }

    func accept(_ prepare: (EmbeddedSocket) -> Void = { _ in }) throws -> EmbeddedSocket {
        try #require(!waiting.isEmpty, "nobody dials")
        let dial = waiting.removeFirst()
        let socket = EmbeddedSocket(loop: loop)
        opened.append(socket)
        try socket.open(dial.initialize)
        prepare(socket)
        dial.promise.succeed(socket.channel)
        return socket
    }

    func refuse() {
        guard !waiting.isEmpty else { return }
        waiting.removeFirst().promise.fail(ChannelError.connectTimeout(.seconds(1)))
    }

    func refuseAll() {
        while !waiting.isEmpty { refuse() }
    }
}

/// Answers the balancer's own paths, and remembers what ended.
///
/// `/metrics` is answered when the test says so, `/llmhealth-monitor/events` is a feed of events.
final class EmbeddedNotes: LocalEndpoints, RequestObserver {
    private struct State {
        var records: [EndedRequest] = []
        var promises: [EventLoopPromise<LocalResponse>] = []
        var feeds: [EventSink] = []
        var loop: (any EventLoop)?
    }

    private let state = NIOLockedValueBox(State())

    /// Where answers that come later are promised.
    func promise(on loop: any EventLoop) { state.withLockedValue { $0.loop = loop } }

    var records: [EndedRequest] { state.withLockedValue { $0.records } }
    var feeds: [EventSink] { state.withLockedValue { $0.feeds } }

    /// The promises of answers that have not been given.
    func takePromises() -> [EventLoopPromise<LocalResponse>] {
        state.withLockedValue { state in
            defer { state.promises = [] }
            return state.promises
        }
    }

    func answer(_ request: LocalRequest) -> LocalAnswer {
        switch request.target {
        case "/llmhealth-monitor/events":
            return .events { [state] sink in state.withLockedValue { $0.feeds.append(sink) } }
        case "/metrics":
            guard let loop = state.withLockedValue({ $0.loop }) else { break }
            let promise = loop.makePromise(of: LocalResponse.self)
            state.withLockedValue { $0.promises.append(promise) }
            return .later(promise.futureResult)
        default: break
        }
        return .now(LocalResponse(contentType: "text/plain", body: Array("own \(request.target)\n".utf8)))
    }

    func requestEnded(_ record: borrowing RequestRecord) {
        let ended = EndedRequest(record)
        state.withLockedValue { $0.records.append(ended) }
    }
}

/// The whole answers at the beginning of `text`, and what is left behind them.
func answers(in text: String, hasEnded: Bool = false, toHead: Bool = false) -> (whole: [HTTPAnswer], rest: String) {
    var bytes = Array(text.utf8)
    var whole: [HTTPAnswer] = []
    while let (answer, length) = AnswerParser.parse(bytes, toHead: toHead, hasEnded: hasEnded) {
        whole.append(answer)
        bytes.removeFirst(length)
    }
    return (whole, String(decoding: bytes, as: UTF8.self))
}

extension String {
    /// It in pieces of so many bytes.
    func pieces(of length: Int) -> [[UInt8]] {
        let bytes = Array(utf8)
        return stride(from: 0, to: bytes.count, by: length).map { Array(bytes[$0..<min($0 + length, bytes.count)]) }
    }

    /// How often that text occurs in it.
    func occurrences(of text: String) -> Int { ranges(of: text).count }
}

import NIOCore
import Routing

@testable import Proxy

/// A random life of one loop: clients, servers, dials and the router's whims, and a judge of what comes of them.
final class RandomProxyLife {
    let balancer: EmbeddedBalancer
    var random: SplitMix64
    var clients: [RandomClient] = []
    var servers: [RandomServer] = []
    private var settings: ProxySettings
    var promises: [EventLoopPromise<LocalResponse>] = []
    private var requestCount = 0
    /// Names of requests that the router has had.
    var submitted: Set<String> = []
    /// Bytes written behind the end of a connection, as far as they are excused.
    var excused: [ObjectIdentifier: Int] = [:]
    private(set) var history: [String] = []
    /// What went wrong first, with the last events.
    var failure: String?

    init(seed: UInt64) {
        random = SplitMix64(seed: seed)
        var settings = ProxySettings()
        settings.limits.retryBody = 400
        settings.limits.header = 2048
        settings.limits.body = 4000
        settings.limits.detachedStreams = random.below(3)
        settings.keepAliveInterval = random.below(2) == 0 ? nil : .milliseconds(0)
        if random.below(8) == 0 { settings.timeouts.firstByte = .milliseconds(0) }
        if random.below(8) == 0 { settings.timeouts.betweenBytes = .milliseconds(0) }
        if random.below(8) == 0 { settings.timeouts.head = .milliseconds(0) }
        if random.below(8) == 0 { settings.timeouts.idle = .milliseconds(0) }
        var policy = RoutingPolicy()
        policy.maxWaiting = 3
        policy.failuresUntilOpen = 1_000_000
        balancer = EmbeddedBalancer(
            ["A", "B"], requestMax: random.below(3) == 0 ? nil : 1 + random.below(2), settings: settings, policy: policy)
        self.settings = balancer.context.settings
    }

    func live(steps: Int) throws {
        for _ in 0..<steps where failure == nil {
            try step()
            check()
        }
    }

    // MARK: Events

    func note(_ text: String) {
        history.append(text)
        if history.count > 25 { history.removeFirst() }
    }

    private func step() throws {
        switch random.below(100) {
        case 0..<10 where clients.count(where: { !$0.socket.isClosed }) < 4: try newClient()
        case 0..<20: newRequest()
        case 20..<45: clientSends()
        case 45..<65: serverSpeaks()
        case 65..<72: try answerDial()
        case 72..<78: clientChanges()
        case 78..<82: serverChanges()
        case 82..<84: try keepConnection()
        case 84..<88: ownAnswers()
        case 88..<94: routerChanges()
        case 94..<97:
            note("tick")
            balancer.context.tick()
        case 97..<98: reload()
        default: balancer.run()
        }
    }

    private func shown(_ bytes: [UInt8], _ count: Int) -> String { String(decoding: bytes.prefix(count), as: UTF8.self) }

    private func newClient() throws {
        let client = RandomClient(try balancer.client())
        note("client \(clients.count) comes")
        clients.append(client)
        mislead(client.socket) { [unowned self, unowned client] in
            switch random.below(4) {
            case 0: client.socket.end()
            case 1: client.socket.isWritable.toggle()
            case 2: client.socket.receive(client.takeUnsent(1 + random.below(80)))
            default: client.socket.fail()
            }
        }
    }

    /// Lets something happen inside some of the socket's writes and flushes.
    private func mislead(_ socket: EmbeddedSocket, _ action: @escaping () -> Void) {
        socket.onWrite = { [unowned self] in
            guard random.below(12) == 0 else { return .taken }
            note("  inside a write")
            action()
            return .taken
        }
        socket.onFlush = { [unowned self] in
            guard random.below(12) == 0 else { return }
            note("  inside a flush")
            action()
        }
    }

    private func pickClient(where isWanted: (RandomClient) -> Bool = { _ in true }) -> RandomClient? {
        let open = clients.filter { !$0.socket.isClosed && isWanted($0) }
        return open.isEmpty ? nil : random.pick(open)
    }

    private func pickServer(where isWanted: (RandomServer) -> Bool = { _ in true }) -> RandomServer? {
        let open = servers.filter { !$0.socket.isClosed && isWanted($0) }
        return open.isEmpty ? nil : random.pick(open)
    }

    private func newRequest() {
        guard let client = pickClient() else { return }
        for _ in 0...random.below(3) {
            requestCount += 1
            client.add(id: "r\(requestCount).", &random)
        }
    }

    private func clientSends() {
        // What is under way in the kernel's read may still come when reading has stopped.
        guard let client = pickClient(where: { !$0.unsent.isEmpty && ($0.socket.isReading || random.below(8) == 0) }) else {
            return
        }
        let piece = client.takeUnsent(random.below(3) == 0 ? 1 + random.below(20) : 1 + random.below(4000))
        note("client sends \(piece.count) bytes: \(shown(piece, 60).replacing("\r\n", with: "|"))")
        client.socket.receive(piece)
    }

    private func serverSpeaks() {
        guard let server = pickServer(where: { $0.isBusy && ($0.socket.isReading || random.below(8) == 0) }) else { return }
        if server.unsent.isEmpty {
            note("server closes behind its answer")
            server.closedBehind()
            return server.socket.end()
        }
        let piece = server.takeUnsent(random.below(3) == 0 ? 1 + random.below(20) : 30_000)
        note("server sends \(shown(piece, 80).replacing("\r\n", with: "|"))")
        server.socket.receive(piece)
    }

    private func serve(_ socket: EmbeddedSocket) {
        let server = RandomServer(socket)
        servers.append(server)
        mislead(socket) { [unowned self, unowned server] in
            switch random.below(4) {
            case 0: server.socket.isWritable.toggle()
            case 1:
                // Said before it could have had the request; then its connection breaks.
                server.socket.receive("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy")
                server.socket.fail()
            case 2: server.socket.end()
            default: server.socket.fail()
            }
        }
    }

    private func answerDial() throws {
        guard !balancer.dialer.hosts.isEmpty else { return }
        if random.below(4) == 0 {
            note("a dial fails")
            return balancer.dialer.refuse()
        }
        note("a dial succeeds")
        _ = try balancer.acceptDial { serve($0) }
    }

    private func keepConnection() throws {
        note("a kept connection more")
        serve(try balancer.keptConnection(to: random.below(2)))
    }

    private func clientChanges() {
        guard let client = pickClient() else { return }
        switch random.below(8) {
        case 0:
            note("client leaves")
            client.socket.end()
        case 1:
            note("client breaks")
            client.socket.fail()
        default:
            note("client's writability changes")
            client.socket.isWritable.toggle()
        }
    }

    private func serverChanges() {
        guard let server = pickServer() else { return }
        switch random.below(4) {
        case 0:
            note("server ends")
            server.socket.end()
        case 1:
            note("server breaks")
            server.socket.fail()
        default:
            note("server's writability changes")
            server.socket.isWritable.toggle()
        }
    }

    private func ownAnswers() {
        promises += balancer.notes.takePromises()
        if let promise = promises.popLast() {
            random.below(4) == 0 ? promise.fail(ChannelError.eof) : promise.succeed(LocalResponse(body: [1]))
        } else if let sink = balancer.notes.feeds.last {
            _ = sink.send(Array("data: x\n\n".utf8))
        }
    }

    private func routerChanges() {
        let id = BackendID(rawValue: random.below(2))
        switch random.below(8) {
        case 0: balancer.router.send(.drain(id))
        case 1: balancer.router.send(.undrain(id))
        case 2: balancer.router.send(.probeFailed(id, reason: "no answer"))
        case 3, 4: balancer.router.send(.probed(id, BackendReport(isBusy: random.below(4) == 0, resumesStreams: true)))
        case 5: balancer.router.send(.clockAdvanced)
        default:
            let requests = balancer.router.requests()
            guard !requests.isEmpty else { return }
            let request = random.pick(requests)
            note("\(request.traits.requestID) is cancelled")
            _ = balancer.router.cancel(requestID: request.traits.requestID)
        }
        if random.below(2) == 0 { balancer.run() }
    }

    private func reload() {
        note("reload")
        for index in settings.endpoints.indices { settings.endpoints[index].keepsConnectionAfterStream.toggle() }
        balancer.context.apply(settings)
    }
}

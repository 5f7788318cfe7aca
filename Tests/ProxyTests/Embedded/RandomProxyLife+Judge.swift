import NIOCore
import Routing

@testable import Proxy

/// What must hold whatever happens, and how everything comes to its end.
extension RandomProxyLife {
    private func fail(_ problem: String) {
        if failure == nil { failure = problem + "\n    " + history.joined(separator: "\n    ") }
    }

    func check(isKind: Bool = false) {
        for server in servers {
            if let problem = server.look(&random, isKind: isKind) { fail(problem) }
        }
        for (socket, name) in clients.map({ ($0.socket, "client") }) + servers.map({ ($0.socket, "server") }) {
            let known = excused[ObjectIdentifier(socket)]
            if let known, socket.lateBytes > known { fail("bytes were written to a \(name) that had gone") }
            if socket.isClosed { excused[ObjectIdentifier(socket)] = socket.lateBytes }
            if socket.bytesBehindOwnEnd > 0 { fail("bytes were written to a \(name) behind our own end") }
        }
        for request in balancer.router.requests() { submitted.insert(request.traits.requestID) }
    }

    private func checkBooks() {
        let records = Dictionary(grouping: balancer.notes.records) { $0.requestID }
        for (id, ended) in records where ended.count > 1 { fail("\(id) has ended \(ended.count) times") }
        for id in submitted where records[id] == nil { fail("\(id) has never ended") }
        for client in clients {
            if let problem = client.problem() { fail(problem) }
        }
    }

    /// Everybody means well from now on: nobody may be left waiting.
    func settle() throws {
        guard failure == nil else { return }
        note("everybody means well")
        for socket in balancer.sockets {
            socket.onWrite = nil
            socket.onFlush = nil
        }
        for id in [0, 1].map({ BackendID(rawValue: $0) }) {
            balancer.router.send(.undrain(id))
            balancer.router.send(.probed(id, BackendReport(isBusy: false, resumesStreams: true)))
        }
        for _ in 0..<400 {
            for socket in balancer.sockets { socket.isWritable = true }
            for promise in promises + balancer.notes.takePromises() { promise.succeed(LocalResponse(body: [1])) }
            promises = []
            for client in clients where client.socket.isReading { client.socket.receive(client.takeUnsent(5000)) }
            while !balancer.dialer.hosts.isEmpty {
                servers.append(RandomServer(try balancer.acceptDial()))
                check(isKind: true)
            }
            check(isKind: true)
            for server in servers where server.isBusy {
                server.socket.receive(server.takeUnsent(30_000))
                if server.closesBehind { server.socket.end() }
                server.closedBehind()
            }
            balancer.run()
            check(isKind: true)
        }
        for client in clients where !client.socket.isClosed { try checkNotWaiting(client) }
    }

    private func checkNotWaiting(_ client: RandomClient) throws {
        let handler = try balancer.handler(of: client.socket)
        let place = "\(handler.connection), \(handler.runner.exchange), read: \(client.socket.isReading)"
        switch handler.connection.state {
        case .yielding: fail("a client's turn does not come: \(place)")
        case .expectingHead:
            if !client.unsent.isEmpty { fail("a client is not read from between requests: \(place)") }
        case .inRequest:
            switch handler.runner.exchange.state {
            case .feedingEvents: break
            case .receiving:
                // Its body was cut short by a failed write of the test's, or is one that never ends.
                if !client.unsent.isEmpty { fail("a client is not read from: \(place)") }
            case .awaitingAnswer, .readingError, .holdingHead, .relaying:
                if !handler.runner.exchange.body.isIncomplete { fail("a client waits for a server that has answered: \(place)") }
            case .idle, .waiting, .connecting, .holdingFailure, .tunnelling, .answering: fail("a client waits for ever: \(place)")
            }
        case .tunnelling, .lingering: break
        case .closed: fail("a connection has ended, and its channel has not: \(place)")
        }
    }

    /// Everybody leaves.
    func shutDown() {
        for promise in promises { promise.fail(ChannelError.ioOnClosedChannel) }
        promises = []
        balancer.shutDown()
    }

    /// Everybody leaves, and the books are closed.
    func end() {
        shutDown()
        check()
        checkBooks()
        if balancer.inFlight > 0 { fail("\(balancer.inFlight) requests are left in the router") }
        let fleet = balancer.router.snapshot()
        if !fleet.servers.allSatisfy({ $0.inFlight == 0 && $0.passing == 0 }) { fail("a server has work that nobody knows of") }
        if !balancer.context.clients.connected.isEmpty || !balancer.context.clients.detached.isEmpty {
            fail("a client or stream is left")
        }
    }
}

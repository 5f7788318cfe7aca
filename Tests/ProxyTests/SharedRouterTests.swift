import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Proxy
import Routing
import Testing

/// An owner of requests that is no event loop: it notes that it was told, and which requests it shall end.
private final class PlainOwner: RouterClient {
    private let notes = NIOLockedValueBox((announcements: 0, cancelled: [Ticket]()))

    var announcements: Int { notes.withLockedValue { $0.announcements } }
    var cancelled: [Ticket] { notes.withLockedValue { $0.cancelled } }

    func effectsArrived() { notes.withLockedValue { $0.announcements += 1 } }
    func cancel(_ ticket: Ticket) { notes.withLockedValue { $0.cancelled.append(ticket) } }
}

@Suite("The shared router")
struct SharedRouterTests {
    private static let server = BackendID(rawValue: 1)

    /// A router with one server that is up, and takes so many requests at once.
    private func router(requestMax: Int? = nil) -> SharedRouter {
        let router = SharedRouter(eventLoops: [])
        let server = Fleet.Server(id: Self.server, name: "A", requestMax: requestMax)
        router.send(.fleetChanged(Fleet(servers: [server], routes: nil, fallback: Self.server)))
        router.send(.probed(Self.server, BackendReport(isBusy: false)))
        return router
    }

    private func arrival(_ ticket: Ticket) -> Event {
        .requestArrived(ticket, RequestTraits(destination: .model("m"), client: "c", requestID: "id-\(ticket.rawValue)"))
    }

    private func drain(_ inbox: inout Inbox) -> [Effect] {
        var effects: [Effect] = []
        while let effect = inbox.next() { effects.append(effect) }
        return effects
    }

    private func granted(_ effects: [Effect]) -> [Ticket] {
        effects.compactMap { if case .grant(let ticket, _) = $0 { ticket } else { nil } }
    }

    private func lost(_ effects: [Effect]) -> [Ticket] {
        effects.compactMap { if case .serverLost(let ticket) = $0 { ticket } else { nil } }
    }

    @Test("tells an owner that is no event loop of its grants, once until it has collected them")
    func secondOwner() {
        let router = router(requestMax: 1)
        let (loop, other) = (router.addOwner(), router.addOwner())
        let client = PlainOwner()
        router.attach(client, as: other)
        let running = Ticket(owner: loop, sequence: 1)
        let waiting = (1...3).map { Ticket(owner: other, sequence: $0) }
        var (inbox, mine) = (Inbox(), Inbox())
        router.send(arrival(running), from: loop, at: Clock.now, into: &mine)
        #expect(granted(drain(&mine)) == [running])
        for ticket in waiting { router.send(arrival(ticket), from: other, at: Clock.now, into: &inbox) }
        #expect(drain(&inbox).isEmpty && client.announcements == 0)
        router.send(.finished(running, Outcome(.complete)), from: loop, at: Clock.now, into: &mine)
        #expect(drain(&mine).isEmpty)
        #expect(client.announcements == 1)
        router.send(.finished(waiting[0], Outcome(.complete)))
        #expect(client.announcements == 1)
        router.collect(for: other, into: &inbox)
        #expect(granted(drain(&inbox)) == [waiting[0], waiting[1]])
        router.send(.finished(waiting[1], Outcome(.complete)))
        #expect(client.announcements == 2)
        #expect(router.cancel(requestID: "id-\(waiting[2].rawValue)") == .cancelled)
        #expect(client.cancelled == [waiting[2]])
    }

    @Test("keeps the effects of an owner that is not ready yet")
    func notReady() {
        let router = router()
        let owner = router.addOwner()
        let ticket = Ticket(owner: owner, sequence: 1)
        router.send(arrival(ticket))
        let client = PlainOwner()
        router.attach(client, as: owner)
        #expect(client.announcements == 1)
        var inbox = Inbox()
        router.collect(for: owner, into: &inbox)
        #expect(granted(drain(&inbox)) == [ticket])
    }

    @Test("ignores effects of owners that it does not know")
    func stranger() {
        let router = router()
        router.send(arrival(Ticket(owner: 77, sequence: 1)))
        #expect(router.snapshot().runningCount == 1)
    }

    @Test("gives an owner what was decided earlier before the effects of its own event")
    func ownEffectsQueue() {
        let router = router()
        let owner = router.addOwner()
        var inbox = Inbox()
        let (first, second) = (Ticket(owner: owner, sequence: 1), Ticket(owner: owner, sequence: 2))
        router.send(arrival(first), from: owner, at: Clock.now, into: &inbox)
        #expect(granted(drain(&inbox)) == [first])
        for _ in 0..<2 { router.send(.probeFailed(Self.server, reason: "no answer")) }
        router.send(arrival(second), from: owner, at: Clock.now, into: &inbox)
        let effects = drain(&inbox)
        #expect(effects.map(\.ticket) == [first, second])
        #expect(lost(effects) == [first])
    }

    @Test("carries out what was decided earlier first, also when an effect sends the next event")
    func nested() throws {
        let router = router(requestMax: 1)
        let owner = router.addOwner()
        var inbox = Inbox()
        let tickets = (1...4).map { Ticket(owner: owner, sequence: $0) }
        for ticket in tickets { router.send(arrival(ticket), from: owner, at: Clock.now, into: &inbox) }
        #expect(granted(drain(&inbox)) == [tickets[0]])
        // Two are granted at once; carrying out the first grant ends it, and so grants the fourth.
        let raised = Fleet.Server(id: Self.server, name: "A", requestMax: 3)
        router.send(
            .fleetChanged(Fleet(servers: [raised], routes: nil, fallback: Self.server)), from: owner, at: Clock.now, into: &inbox)
        let first = try #require(inbox.next()?.ticket)
        router.send(.finished(first, Outcome(.complete)), from: owner, at: Clock.now, into: &inbox)
        #expect([first] + granted(drain(&inbox)) == [tickets[1], tickets[2], tickets[3]])
    }

    /// One thread gets grants for the owner's requests, another one finds the server dead and alive again. The owner must
    /// never hear that a request has lost its server before it hears that it has one.
    @Test("an owner gets its effects in the order in which they were decided, whichever threads caused them")
    func twoThreads() async {
        let router = router()
        let owner = router.addOwner()
        let client = PlainOwner()
        router.attach(client, as: owner)
        let threads = MultiThreadedEventLoopGroup(numberOfThreads: 2)
        let isOver = NIOLockedValueBox(false)
        let arrivals = threads.next().submit {
            for number in 1...20_000 as ClosedRange<UInt64> {
                let ticket = Ticket(owner: owner, sequence: number)
                router.send(arrival(ticket))
                if number > 4 { router.send(.finished(Ticket(owner: owner, sequence: number - 4), Outcome(.abandoned))) }
            }
            isOver.withLockedValue { $0 = true }
        }
        let deaths = threads.next().submit {
            while !isOver.withLockedValue({ $0 }) {
                for _ in 0..<2 { router.send(.probeFailed(Self.server, reason: "no answer")) }
                router.send(.probed(Self.server, BackendReport(isBusy: false)))
            }
        }
        _ = try? await (arrivals.get(), deaths.get())
        try? await threads.shutdownGracefully()
        var inbox = Inbox()
        router.collect(for: owner, into: &inbox)
        var isGranted: Set<Ticket> = []
        var (overtaken, losses) = (0, 0)
        for effect in drain(&inbox) {
            if case .grant(let ticket, _) = effect { isGranted.insert(ticket) }
            if case .serverLost(let ticket) = effect {
                losses += 1
                if !isGranted.contains(ticket) { overtaken += 1 }
            }
        }
        #expect(losses > 0)
        #expect(overtaken == 0)
        #expect(client.announcements == 1)
    }
}

import Proxy
import Routing
import Testing

@Suite("Random lives of the state machines")
struct StateMachinePropertyTests {
    /// What has happened to the request at hand, told much more simply.
    private struct Story {
        var isSubmitted = false
        /// A byte of an answer may have gone to the client.
        var isCommitted = false
        var isTunnel = false
        var isAlone = false
        var bodyIsGone = false
    }

    @Test("an exchange never retries after its commit point, grants nothing unasked, and forgets nobody", arguments: 1...20)
    func exchange(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var exchange = Exchange()
        var story = Story()
        for step in 0..<5_000 {
            let before = exchange
            let place = "seed \(seed), step \(step), from \(before)"
            switch random.below(18) {
            case 0 where exchange.state == .idle:
                exchange.headReceived(hasBody: random.below(2) == 0)
                story = Story()
            case 1 where exchange.state == .receiving:
                exchange.submitted(early: exchange.body == .receiving)
                story.isSubmitted = true
            case 2 where exchange.state == .receiving: exchange.localAnswerBegan()
            case 3 where [.answering, .relaying, .feedingEvents].contains(exchange.state): exchange.finished()
            case 4:
                if exchange.granted() { #expect(story.isSubmitted && !story.isCommitted, "\(place)") }
            case 5:
                if exchange.refused() { #expect(story.isSubmitted && !story.isCommitted, "\(place)") }
            case 6:
                switch exchange.connected(isReused: random.below(2) == 0) {
                case .streamed: story.bodyIsGone = true
                case .whole: #expect(before.state == .connecting && before.body != .pending, "\(place)")
                case .nobody: #expect(exchange == before, "\(place)")
                }
            case 7:
                let status = [200, 200, 200, 400, 429, 500, 503][random.below(7)]
                let action = exchange.answerHead(
                    status: status, isStream: random.below(2) == 0, hasBodyBytes: random.below(2) == 0,
                    isReadFirst: (status == 400 || status == 500) && random.below(2) == 0)
                if action == .holdAndReport { #expect(status >= 429 && !story.bodyIsGone, "\(place)") }
                if action == .readError {
                    #expect((status == 400 || status == 500) && !story.bodyIsGone && !story.isAlone, "\(place)")
                }
                if action == .holdHead { #expect(status == 200, "\(place)") }
                if action == .forward { story.isCommitted = true }
                if action != .ignore { #expect(before.isAwaiting, "\(place)") }
            case 8 where random.below(4) == 0:
                if exchange.requeued() { #expect(before.state == .holdingFailure && exchange.state == .waiting, "\(place)") }
            case 8 where random.below(4) == 0:
                if exchange.willSendAgain() {
                    #expect(before.state == .holdingFailure && exchange.state == .connecting, "\(place)")
                }
            case 8 where random.below(4) == 0:
                let isContextError = random.below(2) == 0
                if exchange.errorWasRead(isHeld: isContextError) {
                    #expect(before.state == .readingError, "\(place)")
                    story.isCommitted = !isContextError
                }
            case 8: if exchange.firstByteCame() || exchange.failureKept() { story.isCommitted = true }
            case 9:
                if exchange.switchedProtocols() {
                    #expect(before.isAwaiting, "\(place)")
                    story.isCommitted = true
                    story.isTunnel = true
                }
            case 10, 11:
                let isProbe = random.below(2) == 0
                let loss = isProbe ? exchange.serverLost(isSilent: random.below(2) == 0) : exchange.upstreamLost()
                switch loss {
                case .tryFreshConnection: #expect(!story.isCommitted && !story.bodyIsGone && !story.isAlone, "\(place)")
                case .report: #expect(!story.isCommitted && story.isSubmitted && !story.isAlone, "\(place)")
                case .endVisibly: #expect(story.isCommitted && !story.isTunnel && !story.isAlone, "\(place)")
                case .endTunnel: #expect(story.isTunnel, "\(place)")
                case .endUnheard: #expect(story.isAlone, "\(place)")
                case .ignore: #expect(exchange == before, "\(place)")
                }
            case 12 where random.below(10) == 0:
                let loss = exchange.clientLost(mayGoOn: random.below(2) == 0)
                if loss == .goOn {
                    #expect(exchange.state == before.state && !before.body.isIncomplete, "\(place)")
                    story.isAlone = true
                    continue
                }
                #expect(exchange.state == .idle, "\(place)")
                switch before.state {
                case .waiting: #expect(loss == .cancel, "\(place)")
                case .connecting, .awaitingAnswer, .holdingFailure, .readingError, .holdingHead, .relaying, .tunnelling:
                    #expect(loss == .cancelAndCloseUpstream, "\(place)")
                case .idle, .receiving, .answering, .feedingEvents: #expect(loss == .nothing, "\(place)")
                }
            case 13:
                if exchange.committedEarly() { #expect(!story.isCommitted && !story.isAlone, "\(place)") }
            case 14: exchange.bodyEnded()
            case 15 where random.below(10) == 0: if exchange.bodyStopped() { story.bodyIsGone = true }
            case 16 where random.below(10) == 0:
                switch exchange.cancelled() {
                case .refuse: #expect(!story.isCommitted && story.isSubmitted, "\(place)")
                case .endVisibly: #expect(story.isCommitted, "\(place)")
                case .endTunnel: #expect(story.isTunnel, "\(place)")
                case .endUnheard: #expect(story.isAlone, "\(place)")
                case .nothing: #expect(exchange == before, "\(place)")
                }
            case 17 where exchange.state == .answering && !story.isSubmitted: _ = exchange.eventFeedBegan()
            default: break
            }
            #expect(exchange.body.isRepeatable || story.bodyIsGone || exchange.state == .idle, "\(place)")
        }
    }

    @Test("a connection takes one request at a time, and none after the answer that ends it", arguments: 1...20)
    func connection(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var connection = ClientConnectionState()
        var mustClose = false
        var isReadingOn = true
        for step in 0..<2_000 {
            let before = connection
            let place = "seed \(seed), step \(step), from \(before)"
            switch random.below(10) {
            case 0 where connection.mayReadHead:
                mustClose = random.below(4) == 0
                connection.requestBegan(isLast: mustClose)
                #expect(!connection.mayReadHead, "\(place)")
            case 1 where random.below(4) == 0:
                connection.closeAfterAnswer()
                if case .inRequest = before.state { mustClose = true }
            case 2:
                guard case .inRequest = before.state else { continue }
                let yields = random.below(2) == 0
                let continuation = connection.answerEnded(yields: yields)
                #expect(continuation == (mustClose ? .close : yields ? .nextRequestLater : .nextRequest), "\(place)")
                if yields { #expect(!connection.mayReadHead, "\(place)") }
                if continuation == .close { expect(connection.closingBegan(), is: true, "\(place)") }
            case 3 where random.below(20) == 0: connection.tunnelBegan()
            case 4 where random.below(20) == 0:
                if connection.closingBegan() { #expect(before.takesInput, "\(place)") }
                #expect(!connection.takesInput, "\(place)")
            case 5 where random.below(50) == 0: connection.ended()
            case 8:
                connection.turnCame()
                if before.state != .yielding { #expect(connection == before, "\(place)") }
            case 6, 7:
                let reason = [ReadingGate.Reasons.sentAhead, .serverSlow, .answersUnread][random.below(3)]
                switch random.below(2) == 0 ? connection.gate.close(reason) : connection.gate.open(reason) {
                case .pause:
                    #expect(isReadingOn, "\(place)")
                    isReadingOn = false
                case .resume:
                    #expect(!isReadingOn, "\(place)")
                    isReadingOn = true
                case .none: break
                }
                #expect(isReadingOn == connection.gate.reasons.isEmpty, "\(place)")
            default:
                if connection.state == .closed || connection.state == .lingering {
                    connection = ClientConnectionState()
                    isReadingOn = true
                }
            }
        }
    }

    private final class Connection {}

    @Test("a pool lends each connection to one request at a time, and none that is old, gone or forgotten", arguments: 1...20)
    func pool(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let limit = 4
        var pool = UpstreamPoolState<Connection>(idleLimit: limit, idleTime: .seconds(4))
        var now = Moment(nanoseconds: 1)
        var idleSince: [ObjectIdentifier: Moment] = [:]
        var lent: [Connection] = []
        for step in 0..<5_000 {
            now = now + .milliseconds(Int64(random.below(900)))
            let place = "seed \(seed), step \(step)"
            switch random.below(8) {
            case 0...2:
                if let connection = pool.lease(at: now) {
                    let since = idleSince.removeValue(forKey: ObjectIdentifier(connection))
                    #expect(since.map { $0 + .seconds(4) > now } == true, "\(place): too old, or not idle at all")
                    lent.append(connection)
                } else {
                    #expect(!idleSince.values.contains { $0 + .seconds(4) > now }, "\(place): a fresh one is withheld")
                    lent.append(Connection())
                }
            case 3...5:
                guard !lent.isEmpty else { continue }
                let connection = lent.remove(at: random.below(lent.count))
                let isTaken = pool.giveBack(connection, at: now)
                #expect(isTaken == (idleSince.count < limit), "\(place)")
                if isTaken { idleSince[ObjectIdentifier(connection)] = now }
            case 6:
                for connection in pool.expired(at: now) {
                    let since = idleSince.removeValue(forKey: ObjectIdentifier(connection))
                    #expect(since.map { $0 + .seconds(4) <= now } == true, "\(place): not old, or not idle")
                }
                #expect(!idleSince.values.contains { $0 + .seconds(4) <= now }, "\(place): an old one is left")
            default:
                if random.below(20) == 0 {
                    #expect(pool.removeAll().count == idleSince.count, "\(place)")
                    idleSince.removeAll()
                } else if let connection = lent.first {
                    // One that is lent is not in the pool: forgetting it changes nothing there.
                    pool.remove(connection)
                }
            }
            #expect(pool.idleCount == idleSince.count, "\(place)")
        }
    }
}

extension Exchange {
    fileprivate var isAwaiting: Bool {
        if case .awaitingAnswer = state { true } else { false }
    }
}

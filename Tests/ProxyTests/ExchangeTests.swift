import Proxy
import Testing

/// The state machine of one request as a table: state, event → state, action.
@Suite("Exchange")
struct ExchangeTests {
    enum Event: CaseIterable, CustomStringConvertible {
        case granted, refused
        case connectedFresh, connectedReused
        case head200, streamHead, streamHeadWithBytes, head503, head501, shortError
        case promptWasTooLong, otherError
        case firstByteCame, failureKept, willSendAgain
        case upstreamLost
        case serverLostSilent, serverLostTalking
        case switchedProtocols
        case committedEarly
        case eventFeedBegan
        case clientLost, clientLostButGoesOn
        case cancelled

        /// What `Exchange` answers, as text.
        func apply(to exchange: inout Exchange) -> String {
            switch self {
            case .granted: "\(exchange.granted())"
            case .refused: "\(exchange.refused())"
            case .connectedFresh: "\(exchange.connected(isReused: false))"
            case .connectedReused: "\(exchange.connected(isReused: true))"
            case .head200: "\(exchange.answerHead(status: 200, isStream: false, hasBodyBytes: false))"
            case .streamHead: "\(exchange.answerHead(status: 200, isStream: true, hasBodyBytes: false))"
            case .streamHeadWithBytes: "\(exchange.answerHead(status: 200, isStream: true, hasBodyBytes: true))"
            case .head503: "\(exchange.answerHead(status: 503, isStream: false, hasBodyBytes: true))"
            case .head501: "\(exchange.answerHead(status: 501, isStream: true, hasBodyBytes: false))"
            case .shortError:
                "\(exchange.answerHead(status: 400, isStream: false, hasBodyBytes: false, isReadFirst: true))"
            case .promptWasTooLong: "\(exchange.errorWasRead(isHeld: true))"
            case .otherError: "\(exchange.errorWasRead(isHeld: false))"
            case .firstByteCame: "\(exchange.firstByteCame())"
            case .failureKept: "\(exchange.failureKept())"
            case .willSendAgain: "\(exchange.willSendAgain())"
            case .upstreamLost: "\(exchange.upstreamLost())"
            case .serverLostSilent: "\(exchange.serverLost(isSilent: true))"
            case .serverLostTalking: "\(exchange.serverLost(isSilent: false))"
            case .switchedProtocols: "\(exchange.switchedProtocols())"
            case .committedEarly: "\(exchange.committedEarly())"
            case .eventFeedBegan: "\(exchange.eventFeedBegan())"
            case .clientLost: "\(exchange.clientLost(mayGoOn: false))"
            case .clientLostButGoesOn: "\(exchange.clientLost(mayGoOn: true))"
            case .cancelled: "\(exchange.cancelled())"
            }
        }

        var description: String {
            switch self {
            case .granted: "granted"
            case .refused: "refused"
            case .connectedFresh: "connected (fresh)"
            case .connectedReused: "connected (reused)"
            case .head200: "head of a 200"
            case .streamHead: "head of a streamed 200"
            case .streamHeadWithBytes: "head of a streamed 200 with body bytes"
            case .head503: "head of a 503"
            case .head501: "head of a 501"
            case .shortError: "head of a short 400"
            case .promptWasTooLong: "an error that says that the prompt is too long"
            case .otherError: "another error"
            case .firstByteCame: "first byte of a held stream"
            case .failureKept: "failure kept"
            case .willSendAgain: "to be sent to the same server again"
            case .upstreamLost: "upstream lost"
            case .serverLostSilent: "server lost, silent"
            case .serverLostTalking: "server lost, but it still talks"
            case .switchedProtocols: "switched protocols"
            case .committedEarly: "sign of life before the answer"
            case .eventFeedBegan: "event feed begun"
            case .clientLost: "client lost"
            case .clientLostButGoesOn: "client lost, but its stream may go on"
            case .cancelled: "cancelled by an administrator"
            }
        }
    }

    struct Row: Sendable, CustomStringConvertible {
        var from: Exchange.State
        var event: Event
        var to: Exchange.State
        var action: String

        init(_ from: Exchange.State, _ event: Event, _ to: Exchange.State, _ action: String) {
            (self.from, self.event, self.to, self.action) = (from, event, to, action)
        }

        var description: String { "\(from), \(event) → \(to), \(action)" }
    }

    static let fresh = Exchange.State.awaitingAnswer(onReused: false)
    static let reused = Exchange.State.awaitingAnswer(onReused: true)
    static let states: [Exchange.State] = [
        .idle, .receiving, .waiting, .connecting, fresh, reused, .holdingFailure, .readingError, .holdingHead, .relaying,
        .tunnelling, .answering, .feedingEvents,
    ]

    static let rows: [Row] = [
        // The router's word.
        Row(.waiting, .granted, .connecting, "true"),
        Row(.holdingFailure, .granted, .connecting, "true"),
        Row(.waiting, .refused, .answering, "true"),
        Row(.connecting, .refused, .answering, "true"),
        Row(.holdingFailure, .refused, .answering, "true"),
        // The connection.
        Row(.connecting, .connectedFresh, fresh, "whole"),
        Row(.connecting, .connectedReused, reused, "whole"),
        // The answer.
        Row(fresh, .head200, .relaying, "forward"),
        Row(reused, .head200, .relaying, "forward"),
        Row(fresh, .streamHead, .holdingHead, "holdHead"),
        Row(reused, .streamHead, .holdingHead, "holdHead"),
        Row(fresh, .streamHeadWithBytes, .relaying, "forward"),
        Row(reused, .streamHeadWithBytes, .relaying, "forward"),
        Row(fresh, .head503, .holdingFailure, "holdAndReport"),
        Row(reused, .head503, .holdingFailure, "holdAndReport"),
        Row(fresh, .head501, .relaying, "forward"),
        Row(reused, .head501, .relaying, "forward"),
        Row(fresh, .shortError, .readingError, "readError"),
        Row(reused, .shortError, .readingError, "readError"),
        Row(.readingError, .promptWasTooLong, .holdingFailure, "true"),
        Row(.readingError, .otherError, .relaying, "true"),
        Row(.holdingHead, .firstByteCame, .relaying, "true"),
        Row(.holdingFailure, .failureKept, .relaying, "true"),
        Row(.holdingFailure, .willSendAgain, .connecting, "true"),
        // A failure before the commit point may be tried elsewhere; after it the answer ends visibly.
        Row(.connecting, .upstreamLost, .waiting, "report"),
        Row(fresh, .upstreamLost, .waiting, "report"),
        Row(reused, .upstreamLost, .connecting, "tryFreshConnection"),
        Row(.readingError, .upstreamLost, .waiting, "report"),
        Row(.holdingHead, .upstreamLost, .waiting, "report"),
        Row(.relaying, .upstreamLost, .answering, "endVisibly"),
        // The probes found the server dead.
        Row(.connecting, .serverLostSilent, .waiting, "report"),
        Row(fresh, .serverLostSilent, .waiting, "report"),
        Row(reused, .serverLostSilent, .waiting, "report"),
        Row(.readingError, .serverLostSilent, .waiting, "report"),
        Row(.holdingHead, .serverLostSilent, .waiting, "report"),
        Row(.relaying, .serverLostSilent, .answering, "endVisibly"),
        Row(.connecting, .serverLostTalking, .waiting, "report"),
        Row(fresh, .serverLostTalking, .waiting, "report"),
        Row(reused, .serverLostTalking, .waiting, "report"),
        Row(.readingError, .serverLostTalking, .waiting, "report"),
        Row(.holdingHead, .serverLostTalking, .waiting, "report"),
        // A tunnel.
        Row(fresh, .switchedProtocols, .tunnelling, "true"),
        Row(reused, .switchedProtocols, .tunnelling, "true"),
        Row(.tunnelling, .upstreamLost, .answering, "endTunnel"),
        Row(.tunnelling, .serverLostSilent, .answering, "endTunnel"),
        Row(.tunnelling, .serverLostTalking, .answering, "endTunnel"),
        Row(.tunnelling, .clientLost, .idle, "cancelAndCloseUpstream"),
        // Our own answers.
        Row(.answering, .eventFeedBegan, .feedingEvents, "true"),
        // A sign of life commits the client, and changes nothing else.
        Row(.waiting, .committedEarly, .waiting, "true"),
        Row(.connecting, .committedEarly, .connecting, "true"),
        Row(fresh, .committedEarly, fresh, "true"),
        Row(reused, .committedEarly, reused, "true"),
        Row(.readingError, .committedEarly, .readingError, "true"),
        Row(.holdingHead, .committedEarly, .holdingHead, "true"),
        // An administrator's word.
        Row(.waiting, .cancelled, .answering, "refuse"),
        Row(.connecting, .cancelled, .answering, "refuse"),
        Row(fresh, .cancelled, .answering, "refuse"),
        Row(reused, .cancelled, .answering, "refuse"),
        Row(.holdingFailure, .cancelled, .answering, "refuse"),
        Row(.readingError, .cancelled, .answering, "refuse"),
        Row(.holdingHead, .cancelled, .answering, "refuse"),
        Row(.relaying, .cancelled, .answering, "endVisibly"),
        Row(.tunnelling, .cancelled, .answering, "endTunnel"),
        // The client has gone; a stream that it can take up again goes on once the server has the request.
        Row(.idle, .clientLostButGoesOn, .idle, "nothing"),
        Row(.receiving, .clientLostButGoesOn, .idle, "nothing"),
        Row(.waiting, .clientLostButGoesOn, .idle, "cancel"),
        Row(.connecting, .clientLostButGoesOn, .idle, "cancelAndCloseUpstream"),
        Row(fresh, .clientLostButGoesOn, fresh, "goOn"),
        Row(reused, .clientLostButGoesOn, reused, "goOn"),
        Row(.holdingFailure, .clientLostButGoesOn, .idle, "cancelAndCloseUpstream"),
        Row(.readingError, .clientLostButGoesOn, .idle, "cancelAndCloseUpstream"),
        Row(.holdingHead, .clientLostButGoesOn, .holdingHead, "goOn"),
        Row(.relaying, .clientLostButGoesOn, .relaying, "goOn"),
        Row(.tunnelling, .clientLostButGoesOn, .idle, "cancelAndCloseUpstream"),
        Row(.answering, .clientLostButGoesOn, .idle, "nothing"),
        Row(.feedingEvents, .clientLostButGoesOn, .idle, "nothing"),
        // The client has gone.
        Row(.idle, .clientLost, .idle, "nothing"),
        Row(.receiving, .clientLost, .idle, "nothing"),
        Row(.waiting, .clientLost, .idle, "cancel"),
        Row(.connecting, .clientLost, .idle, "cancelAndCloseUpstream"),
        Row(fresh, .clientLost, .idle, "cancelAndCloseUpstream"),
        Row(reused, .clientLost, .idle, "cancelAndCloseUpstream"),
        Row(.holdingFailure, .clientLost, .idle, "cancelAndCloseUpstream"),
        Row(.readingError, .clientLost, .idle, "cancelAndCloseUpstream"),
        Row(.holdingHead, .clientLost, .idle, "cancelAndCloseUpstream"),
        Row(.relaying, .clientLost, .idle, "cancelAndCloseUpstream"),
        Row(.answering, .clientLost, .idle, "nothing"),
        Row(.feedingEvents, .clientLost, .idle, "nothing"),
    ]

    @Test("every row of the table holds", arguments: rows)
    func row(_ row: Row) {
        var exchange = Self.exchange(in: row.from)
        #expect(exchange.state == row.from)
        let action = row.event.apply(to: &exchange)
        #expect(action == row.action)
        #expect(exchange.state == row.to)
    }

    @Test("whatever is not in the table comes too late: it is ignored and changes nothing", arguments: states)
    func everythingElse(_ state: Exchange.State) {
        for event in Event.allCases where !Self.rows.contains(where: { $0.from == state && $0.event == event }) {
            var exchange = Self.exchange(in: state)
            let action = event.apply(to: &exchange)
            #expect(["false", "ignore", "nobody", "nothing"].contains(action), "\(state), \(event)")
            #expect(exchange.state == state, "\(state), \(event)")
        }
    }

    @Test(
        "only the statuses that may be worth another attempt are held back", arguments: [200, 204, 301, 400, 404, 501, 505, 508])
    func otherStatuses(status: Int) {
        var exchange = Self.exchange(in: Self.fresh)
        let action = exchange.answerHead(status: status, isStream: false, hasBodyBytes: false)
        #expect(action == .forward)
        for held in [429, 500, 502, 503, 504, 507, 529] {
            var exchange = Self.exchange(in: Self.fresh)
            let action = exchange.answerHead(status: held, isStream: false, hasBodyBytes: false)
            #expect(action == .holdAndReport)
        }
    }

    @Test("a request whose body was streamed through is not repeated, and its 503 passes at once")
    func notRepeatable() {
        var exchange = Exchange()
        exchange.headReceived(hasBody: true)
        exchange.submitted(early: true)
        #expect(exchange.body == .pending)
        expect(exchange.granted(), is: true)
        expect(exchange.connected(isReused: true), is: .streamed)
        #expect(exchange.body == .streaming)
        var failed = exchange
        expect(failed.upstreamLost(), is: .report)
        let action = exchange.answerHead(status: 503, isStream: false, hasBodyBytes: true)
        #expect(action == .forward)
        exchange.headReceived(hasBody: false)
        #expect(exchange.body.isRepeatable, "the next request is another one")
    }

    @Test("a body that came whole before the router's word is sent like any other")
    func fasterThanTheRouter() {
        var exchange = Exchange()
        exchange.headReceived(hasBody: true)
        exchange.submitted(early: true)
        exchange.bodyEnded()
        expect(exchange.granted(), is: true)
        expect(exchange.connected(isReused: false), is: .whole)
        #expect(exchange.body.isRepeatable)
    }

    @Test("a client is committed once, and what follows is told inside the stream")
    func committed() {
        var exchange = Self.exchange(in: .waiting)
        expect(exchange.committedEarly(), is: true)
        #expect(exchange.audience == .committedClient)
        expect(exchange.committedEarly(), is: false)
        exchange.finished()
        #expect(exchange.audience == .client, "the next request is another one")
    }

    @Test("a stream without its client is not retried, and ends unheard", arguments: [fresh, reused, .holdingHead, .relaying])
    func unheard(_ state: Exchange.State) {
        var alone = Self.exchange(in: state)
        expect(alone.clientLost(mayGoOn: true), is: .goOn)
        #expect(alone.audience == .nobody)
        for ending in [0, 1, 2] {
            var exchange = alone
            switch ending {
            case 0: expect(exchange.upstreamLost(), is: .endUnheard)
            case 1: expect(exchange.serverLost(isSilent: true), is: .endUnheard)
            default: expect(exchange.cancelled(), is: .endUnheard)
            }
            #expect(exchange.state == .answering)
        }
        expect(alone.committedEarly(), is: false)
    }

    @Test("a stream whose client left before its body had come does not go on")
    func incompleteBody() {
        var exchange = Exchange()
        exchange.headReceived(hasBody: true)
        exchange.submitted(early: true)
        _ = exchange.granted()
        _ = exchange.connected(isReused: false)
        expect(exchange.clientLost(mayGoOn: true), is: .cancelAndCloseUpstream)
    }

    /// An exchange that has come to that state by the usual road.
    private static func exchange(in state: Exchange.State) -> Exchange {
        var exchange = Exchange()
        switch state {
        case .idle: break
        case .receiving: exchange.headReceived(hasBody: true)
        case .waiting:
            exchange.headReceived(hasBody: false)
            exchange.submitted()
        case .connecting:
            exchange = Self.exchange(in: .waiting)
            _ = exchange.granted()
        case .awaitingAnswer(let isReused):
            exchange = Self.exchange(in: .connecting)
            _ = exchange.connected(isReused: isReused)
        case .holdingFailure:
            exchange = Self.exchange(in: fresh)
            _ = exchange.answerHead(status: 503, isStream: false, hasBodyBytes: true)
        case .readingError:
            exchange = Self.exchange(in: fresh)
            _ = exchange.answerHead(status: 400, isStream: false, hasBodyBytes: true, isReadFirst: true)
        case .holdingHead:
            exchange = Self.exchange(in: fresh)
            _ = exchange.answerHead(status: 200, isStream: true, hasBodyBytes: false)
        case .relaying:
            exchange = Self.exchange(in: fresh)
            _ = exchange.answerHead(status: 200, isStream: false, hasBodyBytes: false)
        case .tunnelling:
            exchange = Self.exchange(in: fresh)
            _ = exchange.switchedProtocols()
        case .answering: exchange.localAnswerBegan()
        case .feedingEvents:
            exchange.localAnswerBegan()
            _ = exchange.eventFeedBegan()
        }
        return exchange
    }
}

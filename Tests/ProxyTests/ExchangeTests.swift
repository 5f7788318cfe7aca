import Proxy
import Testing

/// The state machine of one request as a table: state, event → state, action.
@Suite("Exchange")
struct ExchangeTests {
    enum Event: CaseIterable, CustomStringConvertible {
        case granted, refused
        case connectedFresh, connectedReused
        case head200, streamHead, streamHeadWithBytes, head503, head500
        case released
        case upstreamLost
        case serverLostSilent, serverLostTalking
        case switchedProtocols
        case clientLost

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
            case .head500: "\(exchange.answerHead(status: 500, isStream: true, hasBodyBytes: false))"
            case .released: "\(exchange.released())"
            case .upstreamLost: "\(exchange.upstreamLost())"
            case .serverLostSilent: "\(exchange.serverLost(isSilent: true))"
            case .serverLostTalking: "\(exchange.serverLost(isSilent: false))"
            case .switchedProtocols: "\(exchange.switchedProtocols())"
            case .clientLost: "\(exchange.clientLost())"
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
            case .head500: "head of a 500"
            case .released: "released"
            case .upstreamLost: "upstream lost"
            case .serverLostSilent: "server lost, silent"
            case .serverLostTalking: "server lost, but it still talks"
            case .switchedProtocols: "switched protocols"
            case .clientLost: "client lost"
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
        .idle, .collecting, .waiting, .connecting, fresh, reused, .holdingAnswer, .holdingHead, .relaying, .tunnelling,
        .answering,
    ]

    static let rows: [Row] = [
        // The router's word.
        Row(.waiting, .granted, .connecting, "true"),
        Row(.holdingAnswer, .granted, .connecting, "true"),
        Row(.waiting, .refused, .answering, "true"),
        Row(.connecting, .refused, .answering, "true"),
        Row(.holdingAnswer, .refused, .answering, "true"),
        // The connection.
        Row(.connecting, .connectedFresh, fresh, "true"),
        Row(.connecting, .connectedReused, reused, "true"),
        // The answer.
        Row(fresh, .head200, .relaying, "forward"),
        Row(reused, .head200, .relaying, "forward"),
        Row(fresh, .streamHead, .holdingHead, "holdHead"),
        Row(reused, .streamHead, .holdingHead, "holdHead"),
        Row(fresh, .streamHeadWithBytes, .relaying, "forward"),
        Row(reused, .streamHeadWithBytes, .relaying, "forward"),
        Row(fresh, .head503, .holdingAnswer, "holdAndReport"),
        Row(reused, .head503, .holdingAnswer, "holdAndReport"),
        Row(fresh, .head500, .relaying, "forward"),
        Row(reused, .head500, .relaying, "forward"),
        Row(.holdingHead, .released, .relaying, "true"),
        Row(.holdingAnswer, .released, .relaying, "true"),
        // A failure before the commit point may be tried elsewhere; after it the answer ends visibly.
        Row(.connecting, .upstreamLost, .waiting, "report"),
        Row(fresh, .upstreamLost, .waiting, "report"),
        Row(reused, .upstreamLost, .connecting, "tryFreshConnection"),
        Row(.holdingHead, .upstreamLost, .waiting, "report"),
        Row(.relaying, .upstreamLost, .answering, "endVisibly"),
        // The probes found the server dead.
        Row(.connecting, .serverLostSilent, .waiting, "report"),
        Row(fresh, .serverLostSilent, .waiting, "report"),
        Row(reused, .serverLostSilent, .waiting, "report"),
        Row(.holdingHead, .serverLostSilent, .waiting, "report"),
        Row(.relaying, .serverLostSilent, .answering, "endVisibly"),
        Row(.connecting, .serverLostTalking, .waiting, "report"),
        Row(fresh, .serverLostTalking, .waiting, "report"),
        Row(reused, .serverLostTalking, .waiting, "report"),
        Row(.holdingHead, .serverLostTalking, .waiting, "report"),
        // A tunnel.
        Row(fresh, .switchedProtocols, .tunnelling, "true"),
        Row(reused, .switchedProtocols, .tunnelling, "true"),
        Row(.tunnelling, .upstreamLost, .answering, "endTunnel"),
        Row(.tunnelling, .serverLostSilent, .answering, "endTunnel"),
        Row(.tunnelling, .serverLostTalking, .answering, "endTunnel"),
        Row(.tunnelling, .clientLost, .idle, "cancelAndCloseUpstream"),
        // The client has gone.
        Row(.idle, .clientLost, .idle, "nothing"),
        Row(.collecting, .clientLost, .idle, "nothing"),
        Row(.waiting, .clientLost, .idle, "cancel"),
        Row(.connecting, .clientLost, .idle, "cancelAndCloseUpstream"),
        Row(fresh, .clientLost, .idle, "cancelAndCloseUpstream"),
        Row(reused, .clientLost, .idle, "cancelAndCloseUpstream"),
        Row(.holdingAnswer, .clientLost, .idle, "cancelAndCloseUpstream"),
        Row(.holdingHead, .clientLost, .idle, "cancelAndCloseUpstream"),
        Row(.relaying, .clientLost, .idle, "cancelAndCloseUpstream"),
        Row(.answering, .clientLost, .idle, "nothing"),
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
            #expect(["false", "ignore"].contains(action), "\(state), \(event)")
            #expect(exchange.state == state, "\(state), \(event)")
        }
    }

    @Test("only 502, 503 and 504 are held back for another server", arguments: [200, 204, 301, 400, 404, 429, 500, 501, 505])
    func otherStatuses(status: Int) {
        var exchange = Self.exchange(in: Self.fresh)
        let action = exchange.answerHead(status: status, isStream: false, hasBodyBytes: false)
        #expect(action == .forward)
        for held in [502, 503, 504] {
            var exchange = Self.exchange(in: Self.fresh)
            let action = exchange.answerHead(status: held, isStream: false, hasBodyBytes: false)
            #expect(action == .holdAndReport)
        }
    }

    @Test("a request whose body was streamed through is not repeated, and its 503 passes at once")
    func notRepeatable() {
        var failed = Self.exchange(in: Self.reused)
        failed.beganToStreamBody()
        let loss = failed.upstreamLost()
        #expect(loss == .report)
        var answered = Self.exchange(in: Self.fresh)
        answered.beganToStreamBody()
        let action = answered.answerHead(status: 503, isStream: false, hasBodyBytes: true)
        #expect(action == .forward)
        answered.headReceived()
        #expect(answered.isRepeatable, "the next request is another one")
    }

    /// An exchange that has come to that state by the usual road.
    private static func exchange(in state: Exchange.State) -> Exchange {
        var exchange = Exchange()
        switch state {
        case .idle: break
        case .collecting: exchange.headReceived()
        case .waiting:
            exchange.headReceived()
            exchange.submitted()
        case .connecting:
            exchange = Self.exchange(in: .waiting)
            _ = exchange.granted()
        case .awaitingAnswer(let isReused):
            exchange = Self.exchange(in: .connecting)
            _ = exchange.connected(isReused: isReused)
        case .holdingAnswer:
            exchange = Self.exchange(in: fresh)
            _ = exchange.answerHead(status: 503, isStream: false, hasBodyBytes: true)
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
        }
        return exchange
    }
}

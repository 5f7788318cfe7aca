import Routing
import Testing
import Wire

@testable import Proxy

@Suite("Refusals as answers") struct RefusalReplyTests {
    @Test(
        "a limit of the predicted wait is named as it was written",
        arguments: [(500, "0.5 s"), (30_000, "30 s"), (1, "0.001 s"), (90_250, "90.25 s"), (0, "0 s")])
    func limit(milliseconds: Int64, text: String) {
        let reply = ErrorReply(.waitTooLong(predictedSeconds: 7, limit: Interval(nanoseconds: milliseconds * 1_000_000)))
        #expect(reply.message.contains("and at most \(text) are allowed (queue.max-predicted-wait)"), "\(reply.message)")
        #expect((reply.status, reply.retryAfterSeconds) == (429, 7))
    }
}

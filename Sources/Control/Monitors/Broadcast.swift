package import NIOCore
package import Proxy
import NIOConcurrencyHelpers
import Routing
import Wire

/// Requests about something that only some servers have, and that do not say which ones. All servers that may have it are asked, and
/// their answers become one.
package final class Broadcast: Sendable {
    package enum Question: String, Sendable {
        /// Ollama's version, which its clients ask for first.
        case version = "/api/version"
        /// llama-server: which of these conversations have a stream that can be resumed: the answers are lists.
        case streams = "/v1/streams/lookup"
        /// llama-server: an action on a running completion, by its id: one server knows it, the others answer `"success": false`.
        case control = "/v1/chat/completions/control"
    }

    /// A broadcast opens a connection to each server, so more at the same time are refused.
    static let mostAtOnce = 8

    private let monitor: HealthMonitor
    private let running = NIOLockedValueBox(0)

    package init(_ monitor: HealthMonitor) { self.monitor = monitor }

    /// Completes on `loop` when all servers have answered or are given up.
    package func answer(_ question: Question, _ body: [UInt8], on loop: any EventLoop) -> EventLoopFuture<LocalResponse> {
        let mayRun = running.withLockedValue { count in
            guard count < Self.mostAtOnce else { return false }
            count += 1
            return true
        }
        guard mayRun else {
            let message = "\(Self.mostAtOnce) requests for \(question.rawValue) are running already; try again."
            return loop.makeSucceededFuture(.error(503, "balancer_overloaded", message))
        }
        let asked =
            switch question {
            case .version: monitor.ask(.ollama, else: true, question.rawValue, json: nil, on: loop)
            case .streams, .control: monitor.ask(.llamaServer, else: false, question.rawValue, json: body, on: loop)
            }
        let done = EventLoopFuture.whenAllComplete(asked, on: loop).map { results in
            Self.merged(results.compactMap { try? $0.get() }, question)
        }
        done.whenComplete { [running] _ in running.withLockedValue { $0 -= 1 } }
        return done
    }

    static func merged(_ responses: [ProbeClient.Response], _ question: Question) -> LocalResponse {
        let good = responses.filter { $0.status == 200 }
        switch question {
        case .streams:
            let lists = good.compactMap { (try? JSON(parsing: $0.body))?.arrayValue }
            if !lists.isEmpty || responses.isEmpty { return .json(.array(lists.flatMap(\.self))) }
        case .version: if let first = good.first { return LocalResponse(body: first.body) }
        case .control:
            let succeeded = good.first { (try? JSON(parsing: $0.body))?["success"] == true }
            if let known = succeeded ?? good.first { return LocalResponse(body: known.body) }
        }
        guard let first = responses.first else {
            return .error(503, "no_server_available", "No server is up that could answer \(question.rawValue).")
        }
        return LocalResponse(status: first.status, body: first.body)
    }
}

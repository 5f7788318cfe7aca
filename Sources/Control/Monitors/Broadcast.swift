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

    /// - Parameter via: the value of `Via`, with which a loop of balancers is found.
    /// - Returns: a future that completes on `loop` when all servers have answered or are given up.
    package func answer(
        _ question: Question, _ body: [UInt8], via: String, on loop: any EventLoop
    ) -> EventLoopFuture<LocalResponse> {
        let mayRun = running.withLockedValue { count in
            guard count < Self.mostAtOnce else { return false }
            count += 1
            return true
        }
        guard mayRun else {
            let message = "\(Self.mostAtOnce) requests for \(question.rawValue) are running already; try again."
            var response = LocalResponse.error(503, "balancer_overloaded", message)
            response.headers.append(("Retry-After", "1"))
            return loop.makeSucceededFuture(response)
        }
        let asked = servers(for: question).map { server in
            monitor.send(question.rawValue, json: question.body(body), via: via, to: server, on: loop)
        }
        let done = EventLoopFuture.whenAllComplete(asked, on: loop).map { results in
            Self.merged(results.map { try? $0.get() }, question)
        }
        done.whenComplete { [running] _ in running.withLockedValue { $0 -= 1 } }
        return done
    }

    /// Those of the right kind, and those that may be; for Ollama's version all others, if there is no Ollama.
    private func servers(for question: Question) -> [MonitoredServer] {
        let reachable = monitor.reachable()
        switch question {
        case .streams, .control: return reachable.filter { $0.kind == nil || $0.kind == .llamaServer }.map(\.server)
        case .version:
            let ollamas = reachable.filter { $0.kind == .ollama }
            return (ollamas.isEmpty ? reachable : ollamas).map(\.server)
        }
    }

    /// - Parameter responses: one for each server that was asked; nil when it gave none.
    static func merged(_ responses: [ProbeClient.Response?], _ question: Question) -> LocalResponse {
        let responses = responses.map { $0.flatMap { (200..<600).contains($0.status) ? $0 : nil } }
        let documents = responses.compactMap { response in
            response.flatMap { $0.status == 200 ? try? JSON(parsing: $0.body) : nil }
        }
        switch question {
        case .streams:
            let lists = documents.compactMap(\.arrayValue)
            if !lists.isEmpty || responses.isEmpty { return .json(.array(lists.flatMap(\.self))) }
        case .version: if let version = documents.first(where: { $0["version"] != nil }) { return .json(version) }
        case .control:
            let known = documents.filter { $0["success"] != nil }
            if let answer = known.first(where: { $0["success"] == true }) ?? known.first { return .json(answer) }
        }
        // What a server said instead, if it is an error that a client can understand.
        if let refusal = responses.compactMap(\.self).first(where: { $0.status >= 400 }) {
            return LocalResponse(status: refusal.status, body: refusal.body)
        }
        if responses.isEmpty {
            return .error(503, "no_server_available", "No server is up that could answer \(question.rawValue).")
        }
        return .error(502, "upstream_failed", "No server gave a usable answer to \(question.rawValue).")
    }
}

extension Broadcast.Question {
    /// The body for the servers; nil for a `GET`.
    fileprivate func body(_ body: [UInt8]) -> [UInt8]? {
        switch self {
        case .version: nil
        case .streams, .control: body
        }
    }
}

import NIOCore
import NIOPosix
import Proxy
import Routing
import Testing
import Wire

@testable import Control

@Suite("Requests that every llama-server is asked", .timeLimit(.minutes(2))) struct BroadcastTests {
    private static let path = "/v1/streams/lookup"

    private func text(_ response: LocalResponse) -> String {
        "\(response.status) \(String(decoding: response.body, as: UTF8.self))"
    }

    @Test("the look-up of streams asks every llama-server, and nobody else, and gives one list")
    func everyServer() async throws {
        let one = try await DocumentServer([Self.path: .init(body: #"[{"conversation_id":"a","is_done":false}]"#)])
        let other = try await DocumentServer([Self.path: .init(body: #"[{"conversation_id":"b"}]"#)])
        let old = try await DocumentServer([:])
        let vllm = try await DocumentServer([Self.path: .init(body: #"["wrong"]"#)])
        let kinds: [(DocumentServer, EngineKind)] = [
            (one, .llamaServer), (other, .llamaServer), (old, .llamaServer), (vllm, .vllm),
        ]
        let fleet = try TestFleet(
            kinds.enumerated().map { index, server in
                MonitoredServer(
                    id: BackendID(rawValue: index), name: "\(index)", engine: server.0.target, kind: server.1)
            }, interval: .seconds(3600))
        fleet.watch()
        let loop = TestFleet.group.next()
        let body = Array(#"{"conversation_ids":["a","b"]}"#.utf8)
        let answer = try await Broadcast(fleet.monitor).answer(.streams, body, via: "x", on: loop).get()
        #expect(text(answer) == #"200 [{"conversation_id":"a","is_done":false},{"conversation_id":"b"}]"#)
        #expect(old.asked.contains(Self.path) && !vllm.asked.contains(Self.path))
        fleet.monitor.stop()
        for (server, _) in kinds { try await server.stop() }
    }

    @Test("the look-up of streams gives what the servers say when none of them has a list")
    func noLists() {
        #expect(streams([]) == "200 []")
        #expect(streams([(404, "none"), (400, "bad")]) == "404 none")
        #expect(streams([(404, "none"), (200, "[]")]) == "200 []")
        #expect(streams([(200, "no JSON")]).hasPrefix("502 "))
        #expect(streams([(101, ""), (0, "")]).hasPrefix("502 "), "no status for a client")
        #expect(text(Broadcast.merged([nil, nil], .streams)).hasPrefix("502 "), "nobody answered: that is no empty list")
    }

    @Test("an action on a completion succeeds when it does on one server")
    func control() {
        let (unknown, done) = (#"{"success":false,"message":"no active completion"}"#, #"{"success":true}"#)
        #expect(control([(200, unknown), (200, done), (404, "old")]) == "200 " + done)
        #expect(control([(404, "old"), (200, unknown)]) == "200 " + unknown)
        #expect(control([(400, "unknown action"), (400, "too")]) == "400 unknown action")
        #expect(control([]).hasPrefix("503 "))
    }

    @Test("a document without a version is none")
    func noVersion() {
        #expect(merged([(200, "<html>"), (200, #"{"x":1}"#), (200, #"{"version":"1"}"#)], .version) == #"200 {"version":"1"}"#)
        #expect(merged([(200, "<html>")], .version).hasPrefix("502 "))
    }

    @Test("Ollama's version is the one of an Ollama, whatever stands first in the file")
    func version() async throws {
        try await withBalancer { balancer in
            let answer = try await balancer.get("/api/version")
            #expect(answer.status == 404, "as llama-servers answer")
        }
        let ollama = try await DocumentServer(["/api/version": .init(body: #"{"version":"0.9.1"}"#)])
        let fleet = try TestFleet(
            [EngineKind.llamaServer, .ollama].enumerated().map { index, kind in
                MonitoredServer(id: BackendID(rawValue: index), name: "\(index)", engine: ollama.target, kind: kind)
            }, interval: .seconds(3600))
        fleet.watch()
        let answer = try await Broadcast(fleet.monitor).answer(.version, [], via: "x", on: TestFleet.group.next()).get()
        #expect(text(answer) == #"200 {"version":"0.9.1"}"#)
        fleet.monitor.stop()
        try await ollama.stop()
    }

    private func streams(_ answers: [(Int, String)]) -> String { merged(answers, .streams) }

    private func control(_ answers: [(Int, String)]) -> String { merged(answers, .control) }

    private func merged(_ answers: [(Int, String)], _ question: Broadcast.Question) -> String {
        text(Broadcast.merged(answers.map { .init(status: $0.0, body: Array($0.1.utf8)) }, question))
    }

    @Test("are limited in number at any time")
    func limit() async throws {
        let silent = try await DocumentServer([Self.path: .init(body: nil)])
        let fleet = try TestFleet(
            [MonitoredServer(id: BackendID(rawValue: 1), name: "A", engine: silent.target, kind: .llamaServer)],
            interval: .seconds(3600), timeout: .milliseconds(500))
        fleet.watch()
        let broadcast = Broadcast(fleet.monitor)
        let loop = TestFleet.group.next()
        let running = (0..<Broadcast.mostAtOnce).map { _ in broadcast.answer(.streams, [], via: "x", on: loop) }
        #expect(try await broadcast.answer(.streams, [], via: "x", on: loop).get().status == 503)
        for answer in running { #expect(try await answer.get().status == 502) }
        #expect(try await broadcast.answer(.streams, [], via: "x", on: loop).get().status == 502, "the places are free again")
        fleet.monitor.stop()
        try await silent.stop()
    }

    @Test("are answered by the balancer, also to a page of another origin", arguments: [path, "/v1/chat/completions/control"])
    func route(path: String) async throws {
        try await withBalancer { balancer in
            let answer = try await balancer.ask("POST", path, fields: ["Origin: http://page"], body: "{}")
            #expect(answer.status == 404, "fake engines have neither: \(answer.body)")
            #expect(answer.field("Access-Control-Allow-Origin") == "http://page")
            #expect(balancer.engines.allSatisfy { $0.count(path) == 1 })
        }
    }
}

import FakeBackend
import Routing
import Testing
import Wire

@testable import Control
@testable import Proxy

@Suite("The lists that a key gets", .timeLimit(.minutes(2))) struct KeyListTests {
    private func names(_ path: String, _ models: [String]?, from balancer: TestBalancer) throws -> [JSON?] {
        let key = ClientKey(name: "k", digest: KeyDigest(of: []), models: models?.map { ModelPattern($0) })
        let request = LocalRequest(method: "GET", target: path, body: [], key: key, via: "")
        guard case .now(let response) = balancer.routes.answer(request) else { return [] }
        let json = try JSON(parsing: response.body)
        return (json["data"] ?? json["models"])?.arrayValue?.map { $0["id"] ?? $0["name"] } ?? []
    }

    @Test("have the models that it is good for", arguments: ["/v1/models", "/models", "/api/tags"])
    func lists(path: String) async throws {
        try await withBalancer(
            Behaviour { $0.models = ["qwen3:4b", "qwen3:8b", "gemma"] }
        ) { balancer in
            try await balancer.fleet.server("A", is: "known with its models") { $0.models?.count == 3 }
            let all = try await wait(for: "all models", { try names(path, nil, from: balancer) }) { $0.contains("gemma") }
            #expect(all.contains("qwen3:4b"))
            #expect(try names(path, ["qwen3.*"], from: balancer) == ["qwen3:4b", "qwen3:8b"])
            #expect(try names(path, ["gemma", "qwen3:4b"], from: balancer) == ["gemma", "qwen3:4b"])
            #expect(try names(path, ["nothing"], from: balancer) == [])
        }
    }
}

import FakeBackend
import Proxy
import Routing
import Testing
import Wire

@testable import Control

@Suite("Privacy", .timeLimit(.minutes(2))) struct PrivacyTests {
    @Test("a name is hidden by a hash that stays, differs from others', and cannot be computed elsewhere")
    func hashes() {
        let names = ClientNames(areHidden: true)
        let hash = names.shown("192.168.1.7")
        #expect(hash.first == "~" && hash.count == 13)
        #expect(names.shown("192.168.1.7") == hash)
        #expect(names.hidden(true).shown("192.168.1.7") == hash, "also after a reload")
        #expect(names.shown("192.168.1.8") != hash)
        #expect(ClientNames(areHidden: true).shown("192.168.1.7") != hash, "another process has another key")
        #expect(names.shown("") == "")
        #expect(names.hidden(false).shown("192.168.1.7") == "192.168.1.7")
    }

    @Test("hide-clients: no page and no list names a client; without it, all do", arguments: [true, false])
    func pages(hides: Bool) async throws {
        let slow = Behaviour {
            $0.models = ["m"]; $0.slots = 1; $0.decodeTokensPerSecond = 0.01
        }
        try await withEngines(slow, Behaviour { $0.models = ["other"] }) { engines in
            let balancer = try await TestBalancer.start(engines)
            var contents = balancer.board.current
            contents.hidesClients = hides
            balancer.board.publish(contents)
            func begin(_ user: String) async throws -> TextClient {
                let client = try await TextClient.connect(port: balancer.proxy.port)
                let body = #"{"model":"m","max_tokens":1000,"messages":[{"role":"system","content":"ユーザーの名前は「\#(user)」"}]}"#
                try await client.send(
                    "POST", "/v1/chat/completions",
                    fields: ["X-Request-Id: r-\(user.count)", "X-Forwarded-For: 203.0.113.\(user.count)"], body: body)
                return client
            }
            let running = try await begin("anna")
            try await balancer.fleet.server("A", is: "at work") { $0.inFlight == 1 }
            let waiting = try await begin("chiyo")
            _ = try await wait(
                for: "one request waits", { try await balancer.get("/admin/requests").json },
                where: { $0["waiting"]?.arrayValue?.count == 1 })
            for target in ["/llmhealth-snapshot", "/admin/requests", "/admin/requests/r-4"] {
                let text = try await balancer.get(target).body
                #expect(text.contains("~") == hides, "\(target): \(text)")
                #expect(["anna", "chiyo", "203.0.113."].contains { text.contains($0) } != hides, "\(target): \(text)")
            }
            let events = try await TextClient.connect(port: balancer.proxy.port)
            try await events.send("GET", "/admin/events")
            let event = try await events.text("an event") { text, _ in text.contains("}\n\n") }
            #expect(event.contains("203.0.113.") != hides)
            await events.close()
            for client in [waiting, running] { await client.close() }
            let statistics = try await wait(
                for: "both to be counted", { try await balancer.get("/access-log-stats").json },
                where: { $0["total_requests"] == 2 })
            #expect(statistics["unique_ips"] == 2)
            #expect(statistics["ip_counts"]?.objectValue?.allSatisfy { $0.name.hasPrefix("~") } == hides)
            #expect(statistics["ip_counts"]?["203.0.113.4"] == (hides ? nil : 1))
            #expect(statistics.text.contains("203.0.113.") != hides)
            await balancer.stop()
        }
    }

    @Test("an id that two requests have cancels neither of them, and says so")
    func ambiguousCancellation() async throws {
        let slow = Behaviour {
            $0.models = ["m"]; $0.slots = 4; $0.decodeTokensPerSecond = 0.01
        }
        try await withBalancer(slow, slow) { balancer in
            var clients: [TextClient] = []
            for user in ["u", "v"] {
                let client = try await TextClient.connect(port: balancer.proxy.port)
                try await client.send(
                    "POST", "/v1/chat/completions", fields: ["X-Request-Id: same", "X-Session-Id: \(user)"],
                    body: TestBalancer.chatBody("m", maxTokens: 1000))
                clients.append(client)
            }
            _ = try await wait(
                for: "two requests run", { try await balancer.get("/admin/requests").json },
                where: { $0["running"]?.arrayValue?.count == 2 })
            let answer = try await balancer.ask("DELETE", "/admin/requests/same")
            #expect(answer.status == 409)
            #expect(try answer.json["error"]?["message"]?.stringValue?.contains(#"2 requests are called "same""#) == true)
            #expect(try await balancer.get("/admin/requests").json["running"]?.arrayValue?.count == 2)
            await clients[0].close()
            _ = try await wait(
                for: "one request runs", { try await balancer.get("/admin/requests").json },
                where: { $0["running"]?.arrayValue?.count == 1 })
            #expect(try await balancer.ask("DELETE", "/admin/requests/same").status == 200)
            await clients[1].close()
        }
    }
}

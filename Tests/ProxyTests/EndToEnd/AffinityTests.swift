import FakeBackend
import Proxy
import Routing
import Testing

/// A client keeps its server. Two servers; the client's first request is sent away from the first one in order by keeping
/// that busy, so that only memory can explain the second request.
@Suite("Sticky sessions")
struct AffinityTests {
    private static let pattern = #"ユーザーの名前は[「『“"']([^」』”"']+)[」』”"']"#

    /// Sends the first request while A is full and the second one when it is free. Returns the servers of both.
    private func servers(first: String, second: String, _ setup: Setup = Setup()) async throws -> [String?] {
        var setup = setup
        setup.servers = [.init("A", requestMax: 1), .init("B")]
        var found: [String?] = []
        try await withBalancer(setup) { balancer in
            // Room for two sessions each, so that nobody has to leave for the second client.
            for name in ["A", "B"] { try balancer.isUp(name, slots: 2) }
            let blocker = try await balancer.connect()
            try await blocker.send(chat(fault: "stall-before-answer", fields: ["X-Session-Id: blocker"]))
            try await balancer.engine("A").observations { $0.concurrency == 1 }
            found.append(try await balancer.ask(first)["X-Balancer-Server"])
            await blocker.close()
            try await balancer.isAtRest()
            found.append(try await balancer.ask(second)["X-Balancer-Server"])
        }
        return found
    }

    @Test(
        "by the session that a client names",
        arguments: ["X-Session-Id", "X-Conversation-Id", "x-claude-code-session-id", "session_id", "thread-id"])
    func namedSession(field: String) async throws {
        let mine = chat(fields: ["\(field): s1"])
        #expect(try await servers(first: mine, second: mine) == ["B", "B"])
        #expect(try await servers(first: mine, second: chat(fields: ["\(field): s2"])) == ["B", "A"])
    }

    @Test("by prompt_cache_key")
    func promptCacheKey() async throws {
        func request(_ key: String) -> String {
            post("/v1/chat/completions", #"{"model":"m","messages":[],"prompt_cache_key":"\#(key)"}"#)
        }
        #expect(try await servers(first: request("k1"), second: request("k1")) == ["B", "B"])
        #expect(try await servers(first: request("k1"), second: request("k2")) == ["B", "A"])
    }

    @Test("by the first entry of X-Forwarded-For")
    func forwardedFor() async throws {
        let mine = chat(fields: ["X-Forwarded-For: 10.0.0.1, 10.9.9.9"])
        #expect(try await servers(first: mine, second: chat(fields: ["X-Forwarded-For: 10.0.0.1"])) == ["B", "B"])
        #expect(try await servers(first: mine, second: chat(fields: ["X-Forwarded-For: 10.0.0.2"])) == ["B", "A"])
    }

    @Test("X-Forwarded-For is not believed when its sender is not trusted")
    func untrusted() async throws {
        let setup = Setup { $0.settings.forwardingTrust = .proxies([]) }
        let first = chat(fields: ["X-Forwarded-For: 10.0.0.1"])
        let second = chat(fields: ["X-Forwarded-For: 10.0.0.2"])
        #expect(try await servers(first: first, second: second, setup) == ["B", "B"])
    }

    @Test("by the last entry of X-Forwarded-For that is no trusted proxy")
    func behindTrustedProxies() async throws {
        let ranges = ["127.0.0.0/8", "10.9.0.0/16"].compactMap { AddressRange($0) }
        let setup = Setup { $0.settings.forwardingTrust = .proxies(ranges) }
        let first = chat(fields: ["X-Forwarded-For: 1.1.1.1, 10.0.0.1, 10.9.9.9"])
        let pretender = chat(fields: ["X-Forwarded-For: 10.0.0.1, 10.0.0.2, 10.9.9.9"])
        let same = chat(fields: ["X-Forwarded-For: 2.2.2.2, 10.0.0.1, 10.9.1.1"])
        #expect(try await servers(first: first, second: same, setup) == ["B", "B"])
        #expect(try await servers(first: first, second: pretender, setup) == ["B", "A"])
    }

    @Test("by the peer's address when nothing else is known")
    func address() async throws {
        #expect(try await servers(first: chat(), second: chat()) == ["B", "B"])
    }

    @Test("by the user's name in a system message, before anything else, also when it is escaped")
    func username() async throws {
        let setup = Setup { $0.settings.usernamePattern = Self.pattern }
        let plain = chat(system: "ユーザーの名前は「太郎」です", fields: ["X-Session-Id: s1"])
        let escaped = chat(
            system: #"\u30e6\u30fc\u30b6\u30fc\u306e\u540d\u524d\u306f\u300c\u592a\u90ce\u300d"#,
            fields: ["X-Session-Id: s2"])
        let other = chat(system: "ユーザーの名前は「花子」です", fields: ["X-Session-Id: s1"])
        #expect(try await servers(first: plain, second: escaped, setup) == ["B", "B"])
        #expect(try await servers(first: plain, second: other, setup) == ["B", "A"])
    }

    @Test("the name is shown where clients are shown")
    func usernameIsNoted() async throws {
        try await withBalancer(Setup { $0.settings.usernamePattern = Self.pattern }) { balancer in
            _ = try await balancer.ask(chat(system: "ユーザーの名前は「太郎」です", fields: ["X-Forwarded-For: 10.0.0.1"]))
            let record = try #require(try await balancer.records(1).first)
            #expect(record.username == "太郎" && record.address == "10.0.0.1")
            let session = try #require(balancer.router.snapshot().sessions.first)
            #expect(session.client == "太郎" && session.address == "太郎" && session.instance == "m")
        }
    }

    @Test("a server that is down is left")
    func leavesDeadServer() async throws {
        try await withBalancer(Setup { $0.servers = [.init("A"), .init("B")] }) { balancer in
            #expect(try await balancer.ask(chat())["X-Balancer-Server"] == "A")
            try balancer.isDown("A")
            #expect(try await balancer.ask(chat())["X-Balancer-Server"] == "B")
            try balancer.isUp("A")
            #expect(try await balancer.ask(chat())["X-Balancer-Server"] == "B")
        }
    }

    @Test("each client has its own instance")
    func instances() async throws {
        try await withBalancer(Setup { $0.servers = [.init("A", models: ["m", "m-2"])] }) { balancer in
            let first = try await balancer.connect()
            try await first.send(chat(fault: "stall-before-answer", fields: ["X-Session-Id: one"]))
            try await balancer.engine("A").observations { $0.concurrency == 1 }
            #expect(try await balancer.ask(chat(fields: ["X-Session-Id: two"]))["X-Balancer-Model"] == "m-2")
            await first.close()
            try await balancer.isAtRest()
            #expect(try await balancer.ask(chat(fields: ["X-Session-Id: two"]))["X-Balancer-Model"] == "m-2")
            #expect(try await balancer.ask(chat(fields: ["X-Session-Id: one"]))["X-Balancer-Model"] == nil)
        }
    }

    /// What `X-Balancer-Cache` says of a long prompt and of a second one.
    private func forecasts(first: String, second: String, volatile: [String] = []) async throws -> [String?] {
        var found: [String?] = []
        try await withBalancer(Setup { $0.settings.volatilePatterns = volatile }) { balancer in
            for system in [first, second] {
                let text = system + String(repeating: "You answer briefly. ", count: 200)
                found.append(try await balancer.ask(chat(system: text))["X-Balancer-Cache"])
                try await balancer.isAtRest()
            }
        }
        return found
    }

    @Test("an answer says how much of its prompt the server should have found")
    func forecast() async throws {
        let same = try await forecasts(first: "", second: "")
        #expect(same.first == "miss; tokens=0")
        let second = try #require(same.last ?? nil)
        #expect(second.hasPrefix("hit; tokens="))
        #expect(Int(second.dropFirst("hit; tokens=".count)).map { (900...1100).contains($0) } == true, "a token is four bytes")
        #expect(try await forecasts(first: "a", second: "b") == ["miss; tokens=0", "miss; tokens=0"])
    }

    @Test("the configured volatile parts of system prompts do not make another prompt")
    func volatileParts() async throws {
        let (first, second) = (#"Now: 10:01:02\nHello. "#, #"Now: 11:31:42\nHello. "#)
        #expect(try await forecasts(first: first, second: second).last == "miss; tokens=0")
        let found = try await forecasts(first: first, second: second, volatile: [#"Now: (\d.*)"#]).last ?? nil
        #expect(found?.hasPrefix("hit; tokens=") == true)
    }
}

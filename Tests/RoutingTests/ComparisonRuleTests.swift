import Testing

@testable import Routing

@Suite("The rules of other balancers")
struct ComparisonRuleTests {
    /// Four servers with room for all requests, and a prompt's way to one of them.
    private struct Trial {
        var scene: Scene
        private var last: UInt64 = 100

        init(_ rule: PickingRule, requestMax: Int? = 50) {
            scene = Scene(["A", "B", "C", "D"].map { ($0, requestMax) })
            var fleet = Scene.fleet(["A", "B", "C", "D"].map { ($0, requestMax) })
            fleet.rule = rule
            _ = scene.happens(.fleetChanged(fleet))
        }

        /// - Returns: the request and its server; nil when it waits.
        mutating func ask(_ prompt: PromptChain? = nil, client: String = "c") -> (ticket: Ticket, server: String)? {
            last += 1
            let ticket = Ticket(owner: 0, sequence: last)
            let traits = RequestTraits(destination: .model("m"), client: client, prompt: prompt)
            return scene.happens(.requestArrived(ticket, traits)).grant(of: ticket).map { (ticket, $0.serverName) }
        }

        /// Asks, and the answer ends at once.
        mutating func server(for prompt: PromptChain? = nil, client: String = "c") -> String? {
            let granted = ask(prompt, client: client)
            if let granted { _ = scene.finish(granted.ticket) }
            return granted?.server
        }
    }

    /// Messages of a thousand bytes each; a link's hash is made of all names before it.
    private func prompt(_ messages: String...) -> PromptChain {
        var chain = PromptChain(length: 1000 * messages.count, lastMessageStart: 1000 * (messages.count - 1))
        var hash: UInt64 = 17
        for (number, message) in messages.enumerated() {
            hash = message.utf8.reduce(hash) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
            chain.links.append(.init(hash: hash, end: UInt32(1000 * (number + 1))))
        }
        return chain
    }

    @Test("round-robin takes one server after the other")
    func roundRobin() {
        var trial = Trial(.roundRobin)
        #expect((0..<9).map { _ in trial.server() } == ["A", "B", "C", "D", "A", "B", "C", "D", "A"])
    }

    @Test("round-robin passes over a server that takes nothing, and goes on behind it")
    func roundRobinPassesOver() {
        var trial = Trial(.roundRobin)
        _ = trial.scene.happens(.drain(Scene.id(2)))
        #expect((0..<4).map { _ in trial.server() } == ["A", "C", "D", "A"])
        _ = trial.scene.happens(.undrain(Scene.id(2)))
        #expect((0..<4).map { _ in trial.server() } == ["B", "C", "D", "A"])
    }

    @Test("cache-aware follows a prompt of which a server got more than half")
    func cacheAwareFollows() throws {
        var trial = Trial(.cacheAware)
        _ = trial.ask(prompt("system", "question"))
        #expect(trial.server(for: prompt("other system", "question")) == "B")
        #expect(trial.server(for: prompt("system", "question", "answer")) == "A")
        #expect(trial.server(for: prompt("other system", "question", "answer")) == "B")
    }

    @Test("cache-aware minds nothing but the load when half of the prompt or less matches")
    func cacheAwareThreshold() {
        var trial = Trial(.cacheAware)
        _ = trial.ask(prompt("system", "question"))
        #expect(trial.server(for: prompt("system", "another question")) == "B")
        #expect(trial.server() == "B")
    }

    @Test("cache-aware leaves a server that has 33 requests more than another one")
    func cacheAwareImbalance() {
        var trial = Trial(.cacheAware)
        let same = prompt("system")
        let servers = (0..<35).map { _ in trial.ask(same)?.server }
        #expect(servers.prefix(33).allSatisfy { $0 == "A" })
        #expect(servers.suffix(2) == ["B", "C"])
    }

    @Test("cache-aware forgets the ends of prompts first")
    func cacheAwareForgets() {
        var rules = ComparisonRules(rememberedLinks: 3)
        let list = CandidateList([], model: "m", rule: .cacheAware)
        let long = prompt("system", "question", "answer")
        for chain in [long, prompt("system", "other")] {
            rules.granted(RequestTraits(destination: .model("m"), client: "c", prompt: chain), list, to: Scene.id(1))
        }
        #expect(rules.matchedBytes(of: long, on: Scene.id(1)) == 2000)
        #expect(rules.matchedBytes(of: prompt("system", "other"), on: Scene.id(1)) == 2000)
        rules.keepOnly { $0 != Scene.id(1) }
        #expect(rules.matchedBytes(of: long, on: Scene.id(1)) == 0)
    }

    @Test("prefix-hash keeps a conversation on one server, however long it becomes, and spreads conversations")
    func prefixHash() {
        var trial = Trial(.prefixHash)
        var servers: Set<String> = []
        for number in 0..<40 {
            let first = trial.server(for: prompt("system", "question \(number)"))
            let second = trial.server(for: prompt("system", "question \(number)", "answer", "more"))
            let third = trial.server(for: prompt("system", "question \(number)", "answer", "more", "answer", "still more"))
            #expect(first == second && second == third)
            if let first { servers.insert(first) }
        }
        #expect(servers.count == 4)
    }

    @Test("prefix-hash gives no server more than 125 % of the mean load")
    func prefixHashBound() {
        var trial = Trial(.prefixHash)
        var inFlight: [String: Int] = [:]
        var worst = 0.0
        for number in 0..<100 {
            guard let server = trial.ask(prompt("the same"))?.server else {
                return #expect(Bool(false), "request \(number) waits")
            }
            worst = max(worst, Double(inFlight[server, default: 0]) / (Double(number + 1) / 4))
            inFlight[server, default: 0] += 1
        }
        #expect(worst <= 1.25)
        #expect(inFlight.values.max() ?? 0 <= 33)
    }

    @Test("every rule takes a server as long as one has room", arguments: PickingRule.allCases)
    func nobodyWaitsInVain(rule: PickingRule) {
        var trial = Trial(rule, requestMax: 2)
        let granted = (0..<9).map { trial.ask(prompt("system", "question \($0 % 2)"), client: "c\($0)")?.server }
        #expect(granted.compactMap { $0 }.count == 8)
        #expect(granted.last == .some(nil))
    }
}

@Suite("Recent hashes")
struct RecentHashesTests {
    @Test("the one that was not touched for the longest goes")
    func bounded() {
        var hashes = RecentHashes(limit: 3)
        for hash: UInt64 in [1, 2, 3, 1, 4] { hashes.touch(hash) }
        #expect(hashes.contains(1) && !hashes.contains(2) && hashes.contains(3) && hashes.contains(4))
        hashes.touch(3)
        hashes.touch(5)
        #expect(!hashes.contains(1) && hashes.contains(3) && hashes.contains(4) && hashes.contains(5))
        #expect(hashes.count == 3)
    }
}

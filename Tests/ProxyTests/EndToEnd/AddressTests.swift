import FakeBackend
import Proxy
import Routing
import Testing

/// Server names with several addresses: the engine listens on 127.0.0.1, nobody on 127.0.0.3, and 127.0.0.2 does not answer.
@Suite("Names with several addresses", .timeLimit(.minutes(2)))
struct AddressTests {
    private func setup(_ addresses: [String]) -> Setup {
        Setup {
            $0.servers[0].host = "engine.test"
            $0.servers[0].keepsConnectionAfterStream = true
            $0.names.set("engine.test", addresses)
        }
    }

    @Test(
        "work while one of the addresses does",
        arguments: [
            ["127.0.0.1"], ["127.0.0.3", "127.0.0.1"], ["127.0.0.1", "127.0.0.3"], ["127.0.0.2", "127.0.0.1"],
            ["127.0.0.1", "127.0.0.2"], ["127.0.0.2", "127.0.0.3", "127.0.0.1"], ["127.0.0.3", "127.0.0.2", "127.0.0.1"],
        ])
    func severalAddresses(addresses: [String]) async throws {
        try await withBalancer(setup(addresses)) { balancer in
            let hole = try BlackHole("127.0.0.2", port: try balancer.engine("A").port)
            // At the same time, so that each needs a connection of its own.
            try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<8 { group.addTask { try await balancer.ask(chat(stream: true)).status } }
                for try await status in group { #expect(status == 200) }
            }
            // And on one that was kept.
            #expect(try await balancer.ask(chat()).status == 200)
            withExtendedLifetime(hole) {}
        }
    }

    @Test("all of them refusing is a refused connection, and the name is looked up again")
    func noneWorks() async throws {
        let setup = setup(["127.0.0.3", "127.0.0.4"])
        try await withBalancer(setup) { balancer in
            let answer = try await balancer.ask(chat())
            #expect(answer.status == 502 && answer.text.contains("connection refused"))
            setup.names.set("engine.test", ["127.0.0.1"])
            try await wait(for: "the new address", { try await balancer.ask(chat()).status }, where: { $0 == 200 })
        }
    }

    @Test("a server whose name is never answered costs its own requests their time limit, and nobody else anything")
    func deadName() async throws {
        let setup = Setup {
            $0.servers = [.init("A", models: ["dead"]), .init("B", models: ["good"])]
            $0.servers[0].host = "dead.test"
            $0.servers[1].host = "good.test"
            $0.names.set("good.test", ["127.0.0.1"])
            $0.names.hang("dead.test")
            $0.settings.timeouts.connect = .milliseconds(300)
        }
        try await withBalancer(setup) { balancer in
            let dead = Task { try await balancer.ask(chat(model: "dead")) }
            try await wait(for: "the look-up", { setup.names.askedFor("dead.test") }, where: { $0 == 1 })
            #expect(try await balancer.ask(chat(model: "good"))["X-Balancer-Server"] == "B")
            let answer = try await dead.value
            #expect(answer.status == 502 && answer.text.contains("the name server did not answer"))
        }
        setup.names.release()
    }
}

import FakeBackend
import NIOCore
import Proxy
import Routing
import Testing
import Wire

@testable import Control

@Suite("Health monitoring", .timeLimit(.minutes(2))) struct HealthMonitorTests {
    @Test("finds out that a server is llama-server, its slots and its models")
    func findsLlamaServer() async throws {
        try await withEngines(
            Behaviour {
                $0.slots = 3; $0.models = ["m", "m-2"]
            }
        ) { engines in
            let fleet = try TestFleet([engines[0].monitored(1, name: "A")])
            fleet.watch()
            let server = try await fleet.server("A", is: "up with 3 slots and its models") {
                $0.isUp && $0.limit == 3 && $0.models == ["m", "m-2"]
            }
            var report = try #require(server.lastReport)
            #expect(report.slots?.countedAt != nil)
            report.slots?.countedAt = nil
            #expect(
                report
                    == BackendReport(
                        isBusy: false, slots: .init(total: 3, busy: 0), resumesStreams: true, contextTokens: 32_768, sees: false))
            #expect(fleet.monitor.catalog.kind(of: server.id) == .llamaServer)
            #expect(fleet.monitor.catalog.models(leavingOut: []).openAI["data"]?.arrayValue?.map { $0["id"] } == ["m"])
            fleet.monitor.stop()
        }
    }

    @Test(
        "finds out other engines by their model lists, and asks them only what they are made for",
        arguments: [
            (Behaviour.Kind.ollama, EngineKind.ollama, ["/v1/models", "/api/version", "/api/tags", "/api/ps"]),
            (.openai, .vllm, ["/v1/models", "/health", "/metrics"]),
        ])
    func findsOthers(kind: Behaviour.Kind, expected: EngineKind, paths: [String]) async throws {
        let asked = Set(paths)
        try await withEngines(
            Behaviour {
                $0.kind = kind; $0.models = ["m"]
            }
        ) { engines in
            let fleet = try TestFleet([engines[0].monitored(1, name: "A")])
            fleet.watch()
            try await fleet.server("A", is: "up with its model") { $0.isUp && $0.models == ["m"] }
            try await engines[0].observations(within: .seconds(20)) { Set($0.requests.map(\.target)).isSuperset(of: asked) }
            #expect(fleet.monitor.catalog.kind(of: BackendID(rawValue: 1)) == expected)
            #expect(Set(engines[0].observations.requests.map(\.target)) == asked)
            fleet.monitor.stop()
        }
    }

    @Test("a server that stops is down, and back when it listens again, with what it has become")
    func downAndBack() async throws {
        let engine = try await FakeLlamaServer.start(
            Behaviour {
                $0.slots = 2; $0.models = ["old"]
            }, group: TestFleet.group)
        let fleet = try TestFleet([engine.monitored(1, name: "A")])
        fleet.watch()
        try await fleet.server("A", is: "up") { $0.limit == 2 && $0.models == ["old"] }
        try await engine.stop()
        let down = try await fleet.server("A", is: "down") { $0.isDown }
        #expect(down.reason?.isEmpty == false)
        #expect(!fleet.router.canTakeWork)
        let another = try await FakeLlamaServer.start(
            Behaviour {
                $0.slots = 5; $0.models = ["new"]
            }, port: engine.port, group: TestFleet.group)
        try await fleet.server("A", is: "up again with 5 slots and new models") {
            $0.isUp && $0.limit == 5 && $0.models == ["new"]
        }
        #expect(fleet.router.canTakeWork)
        fleet.monitor.stop()
        try await another.stop()
    }

    @Test("another kind of engine at the same address is found out")
    func anotherKind() async throws {
        let engine = try await FakeLlamaServer.start(group: TestFleet.group)
        let fleet = try TestFleet([engine.monitored(1, name: "A")])
        fleet.watch()
        try await fleet.server("A", is: "a llama-server") { $0.limit == 4 }
        try await engine.stop()
        try await fleet.server("A", is: "down") { $0.isDown }
        let another = try await FakeLlamaServer.start(
            Behaviour {
                $0.kind = .ollama; $0.models = ["o"]
            }, port: engine.port, group: TestFleet.group)
        try await fleet.server("A", is: "up with Ollama's models") { $0.isUp && $0.models == ["o"] && $0.limit == nil }
        #expect(fleet.monitor.catalog.kind(of: BackendID(rawValue: 1)) == .ollama)
        fleet.monitor.stop()
        try await another.stop()
    }

    @Test("a server that never answers delays nobody else's probes", arguments: [Fault.acceptNever, .stallBeforeAnswer])
    func hangingServer(fault: Fault) async throws {
        try await withEngines(Behaviour { $0.fault = fault }, Behaviour()) { engines in
            let fleet = try TestFleet([engines[0].monitored(1, name: "hangs"), engines[1].monitored(2, name: "works")])
            fleet.watch()
            try await engines[1].observations(within: .seconds(20)) { $0.probes >= 20 }
            #expect(fleet.router.snapshot().servers.map(\.isUp) == [false, true])
            // One probe is under way there, not one for each round.
            #expect(engines[0].observations.requests.count <= 1)
            fleet.monitor.stop()
        }
    }

    @Test(
        "a server that stops answering without a word is down when its time is over",
        arguments: [Fault.acceptNever, .stallBeforeAnswer])
    func blackHole(fault: Fault) async throws {
        try await withEngines(Behaviour()) { engines in
            let fleet = try TestFleet([engines[0].monitored(1, name: "A")], timeout: .milliseconds(200))
            fleet.watch()
            try await fleet.server("A", is: "up") { $0.isUp && $0.limit == 4 }
            try await engines[0].update { $0.fault = fault }
            let down = try await fleet.server("A", is: "down") { $0.isDown }
            // On a busy machine, not even the connection may come about in so short a time.
            let reason = try #require(down.reason)
            #expect(reason.contains("no answer") || reason.contains("no connection within"), "\(reason)")
            try await engines[0].update { $0.fault = nil }
            try await fleet.server("A", is: "up again") { $0.isUp }
            fleet.monitor.stop()
        }
    }

    @Test("a server that loads its model is not up, and says why")
    func loading() async throws {
        try await withEngines(Behaviour { $0.loadingFor = .seconds(3600) }) { engines in
            let fleet = try TestFleet([engines[0].monitored(1, name: "A", kind: .llamaServer)])
            fleet.watch()
            let down = try await fleet.server("A", is: "down") { $0.isDown }
            #expect(down.reason == "loading its model")
            fleet.monitor.stop()
        }
    }

    @Test("llama-server's slots are not asked for while our own requests run there")
    func slotsOnlyWhenQuiet() async throws {
        try await withEngines(Behaviour()) { engines in
            let fleet = try TestFleet([engines[0].monitored(1, name: "A", kind: .llamaServer)])
            let ticket = Ticket(owner: 0, sequence: 1)
            fleet.router.send(.requestArrived(ticket, RequestTraits(destination: .fallback, client: "c")))
            try await fleet.server("A", is: "at work") { $0.inFlight == 1 }
            fleet.watch()
            try await engines[0].observations(within: .seconds(20)) { seen in
                seen.requests.count { $0.target == "/health" } >= 10
            }
            #expect(engines[0].count("/slots") == 0)
            fleet.router.send(.finished(ticket, Outcome(.complete)))
            try await engines[0].observations(within: .seconds(20)) { seen in seen.requests.contains { $0.target == "/slots" } }
            fleet.monitor.stop()
        }
    }

    @Test("a probe that fails once does not make a server without limit: its slots are asked for again, whatever runs there")
    func limitSurvivesAFailedProbe() async throws {
        try await withEngines(Behaviour { $0.slots = 2 }) { engines in
            let fleet = try TestFleet([engines[0].monitored(1, name: "A", kind: .llamaServer)])
            fleet.watch()
            try await fleet.server("A", is: "up with 2 slots") { $0.isUp && $0.limit == 2 }
            let ticket = Ticket(owner: 0, sequence: 1)
            fleet.router.send(.requestArrived(ticket, RequestTraits(destination: .fallback, client: "c")))
            try await engines[0].update { $0.fault = .status(500) }
            try await fleet.server("A", is: "failing, with its limit") { !$0.isUp && $0.limit == 2 }
            try await engines[0].update {
                $0.fault = nil
                $0.slots = 3
            }
            try await fleet.server("A", is: "up, never without a limit, and with its new slots soon") { server in
                #expect(server.limit == 2 || server.limit == 3)
                return server.isUp && server.limit == 3
            }
            #expect(engines[0].count("/slots") <= 1, "not while a request of ours runs there")
            fleet.router.send(.finished(ticket, Outcome(.complete)))
            fleet.monitor.stop()
        }
    }

    @Test("a sleeping server is never asked for its slots, which would wake it; what it has is known all the same")
    func sleeping() async throws {
        try await withEngines(
            Behaviour {
                $0.isSleeping = true; $0.slots = 7
            }
        ) { engines in
            let fleet = try TestFleet([engines[0].monitored(1, name: "A")])
            fleet.watch()
            try await fleet.server("A", is: "up with 7 slots") { $0.isUp && $0.limit == 7 }
            try await engines[0].observations(within: .seconds(20)) { seen in
                seen.requests.count { $0.target == "/health" } >= 10
            }
            #expect(engines[0].count("/slots") == 0)
            #expect(engines[0].observations.work.isEmpty)
            fleet.monitor.stop()
        }
    }

    @Test("with the original's protocol the machine's load counts; slots and models come from the engine, which has to answer")
    func llmhealth() async throws {
        try await withEngines(
            Behaviour {
                $0.kind = .openai; $0.gpuBusy = true
            },
            Behaviour {
                $0.models = ["m"]; $0.slots = 3
            }
        ) { engines in
            var server = engines[1].monitored(1, name: "A")
            server.llmhealth = engines[0].target
            let fleet = try TestFleet([server])
            fleet.watch()
            try await fleet.server("A", is: "up and busy, with its models and slots") {
                $0.isUp && $0.lastReport?.isBusy == true && $0.lastReport?.gpuUtilisation != nil && $0.models == ["m"]
                    && $0.limit == 3
            }
            try await engines[0].update { $0.gpuBusy = false }
            try await fleet.server("A", is: "idle once no busy sample is left in the window") { !$0.isBusy }
            try await engines[1].stop()
            try await fleet.server("A", is: "down with its engine, though its health answers") { $0.isDown }
            #expect(Set(engines[0].observations.requests.map(\.target)) == ["/llmhealth"])
            fleet.monitor.stop()
        }
    }

    @Test(
        "with the original's protocol a server whose health does not answer is down, though its engine listens",
        arguments: [
            Fault.status(500), .noContent, .resetBeforeAnswer, .malformedHead(.statusLine), .bigAnswer(bytes: 9 << 20),
        ])
    func llmhealthFails(fault: Fault) async throws {
        try await withEngines(Behaviour { $0.fault = fault }, Behaviour()) { engines in
            var server = engines[1].monitored(1, name: "A")
            server.llmhealth = engines[0].target
            let fleet = try TestFleet([server])
            fleet.watch()
            let seen = try await fleet.server("A", is: "down") { $0.isDown }
            #expect(seen.reason?.hasPrefix("health-port \(engines[0].target.address.port): ") == true)
            fleet.monitor.stop()
        }
    }

    @Test("servers that stay are not disturbed when others come and go")
    func watchAgain() async throws {
        try await withEngines(Behaviour { $0.fault = .stallBeforeAnswer }, Behaviour()) { engines in
            let (stays, comes) = (engines[0].monitored(1, name: "A"), engines[1].monitored(2, name: "B"))
            let fleet = try TestFleet([stays, comes])
            let timing = HealthMonitor.Timing(interval: .milliseconds(5), timeout: .seconds(60))
            fleet.monitor.watch([stays], timing: timing)
            try await engines[0].observations(within: .seconds(20)) { $0.requests.count == 1 }
            fleet.monitor.watch([stays, comes], timing: timing)
            try await fleet.server("B", is: "up with its model") { $0.isUp && $0.models != nil }
            fleet.monitor.watch([stays], timing: timing)
            #expect(engines[0].observations.requests.count == 1, "its probe goes on")
            #expect(fleet.monitor.catalog.models(leavingOut: []).openAI["data"] == [])
            fleet.monitor.stop()
        }
    }

    @Test("the server's key and headers go to it, and a path prefix before every path")
    func keyAndPrefix() async throws {
        try await withEngines(Behaviour { $0.apiKey = "secret-key" }) { engines in
            var server = engines[0].monitored(1, name: "A")
            server.engine.headers = [
                .init(name: "Authorization", value: "Bearer secret-key"), .init(name: "X-Extra", value: "e"),
            ]
            let fleet = try TestFleet([server])
            fleet.watch()
            try await fleet.server("A", is: "up with its slots") { $0.isUp && $0.limit == 4 }
            #expect(engines[0].observations.requests.allSatisfy { $0.field("X-Extra") == "e" })
            fleet.monitor.stop()
        }
        try await withEngines(Behaviour()) { engines in
            var server = engines[0].monitored(1, name: "A")
            server.engine.pathPrefix = "/base"
            let fleet = try TestFleet([server])
            fleet.watch()
            try await engines[0].observations(within: .seconds(20)) { $0.requests.first?.target == "/base/v1/models" }
            fleet.monitor.stop()
        }
    }
}

import FakeBackend
import Proxy
import Routing
import Testing
import Wire

@testable import Control

@Suite("A llama-server that runs a process for each model (router mode)", .timeLimit(.minutes(2))) struct RouterModeTests {
    private static let router = EngineFixture.router

    // MARK: What it says of itself

    @Test(
        "says how many models it holds, and whether it loads them by itself",
        arguments: [
            (#"{"role":"router","max_instances":4,"models_autoload":true}"#, 4, true),
            (#"{"role":"router","max_instances":0,"models_autoload":false}"#, .max, false),
            (#"{"role":"router","max_instances":-1}"#, .max, true), (#"{"role":"router"}"#, nil, true),
        ] as [(String, Int?, Bool)])
    func props(text: String, most: Int?, loads: Bool) throws {
        let props = try #require(EngineReports.props(Array(text.utf8)))
        #expect(props.routerMode == .init(mostLoadedModels: most, loadsModelsItself: loads))
    }

    @Test("a server with a model of its own is no router")
    func noRouter() throws {
        let own = try #require(EngineFixture.llamaServers.first?.documents["/props"]?.body)
        #expect(try #require(EngineReports.props(Array(own.utf8))).routerMode == nil)
    }

    @Test("the router of requests is told so with each probe")
    func report() async throws {
        try await withDocuments(Self.router.documents) { server, fleet in
            try await fleet.server("A", is: "a router of four models") { $0.lastReport?.mostLoadedModels == 4 }
            #expect(fleet.router.snapshot().servers.map { $0.lastReport?.loadsModelsItself } == [true])
            server.set("/props", .init(body: #"{"role":"router","max_instances":0,"models_autoload":false}"#))
            // A server that failed may have come back as another one.
            server.set("/health", .init(status: 500))
            try await fleet.server("A", is: "failing") { !$0.isUp }
            server.set("/health", .init(body: "{}"))
            try await fleet.server("A", is: "one that loads nothing") {
                $0.lastReport?.mostLoadedModels == .max && $0.lastReport?.loadsModelsItself == false
            }
        }
    }

    // MARK: Its processes

    @Test("each process is asked for its slots and its context; nothing that loads or wakes a model is asked")
    func slots() async throws {
        try await withDocuments(Self.router.documents) { server, fleet in
            let slots = { () -> [String: Int] in
                let models = fleet.monitor.catalog.models(leavingOut: []).all.map(\.listed)
                return Dictionary(models.compactMap { model in model.slots.map { (model.name, $0) } }) { first, _ in first }
            }
            try await wait(for: "the slots of the models in memory", slots) { $0 == ["a": 2, "d": 2] }
            let models = fleet.monitor.catalog.models(leavingOut: []).all.map(\.listed)
            #expect(models.first { $0.name == "a" }?.traits.contextTokens == 8192)
            try await fleet.server("A", is: "known to work for others") { $0.lastReport?.slots?.busy == 1 }
            #expect(fleet.router.snapshot().servers.map(\.limit) == [nil], "the processes have limits, not the router")
            let asked = Set(server.asked)
            #expect(
                asked == [
                    "/health", "/v1/models", "/props", "/props?model=a&autoload=false", "/props?model=d&autoload=false",
                    "/slots?model=a&autoload=false",
                ])
        }
    }

    @Test("a process that cannot be asked is asked again with a later list, not at once")
    func failing() async throws {
        var documents = Self.router.documents
        documents["/props?model=a&autoload=false"] = .init(
            status: 500, server: "llama.cpp", body: "proxy error: Could not establish connection")
        try await withDocuments(documents) { server, fleet in
            try await wait(for: "many probes", { server.asked.count { $0 == "/health" } }) { $0 > 40 }
            let lists = server.asked.count { $0 == "/v1/models" }
            #expect(server.asked.count { $0 == "/props?model=a&autoload=false" } <= lists)
            // One to detect it, one for its kind, one for its role, and one that shows what the other process told.
            #expect(lists <= 4)
        }
    }

    @Test(
        "what a router has in memory is asked every two seconds while requests of ours run there, and for ten seconds afterwards")
    func lists() {
        func at(_ seconds: Int64) -> Moment { Moment.zero + .seconds(seconds) }
        var findings = EngineFindings(kind: .llamaServer)
        #expect(findings.listIsDue(at: at(100)))
        findings.modelsAskedAt = at(100)
        findings.slots.quietSince = at(100)
        #expect(!findings.listIsDue(at: at(109)) && findings.listIsDue(at: at(110)), "no router")
        findings.routerMode = .init(mostLoadedModels: 4, loadsModelsItself: true)
        #expect(!findings.listIsDue(at: at(101)) && findings.listIsDue(at: at(102)))
        findings.modelsAskedAt = at(109)
        #expect(!findings.listIsDue(at: at(111)), "quiet for longer than ten seconds")
        #expect(findings.listIsDue(at: at(119)))
    }

    @Test("no more than four processes are asked at once, and all of them in the end")
    func bounded() {
        let models = (0..<10).map { model("m\($0)", "loaded", port: $0) }
        var processes = ModelProcesses()
        _ = processes.note(models)
        var rounds: [[String]] = []
        while let round = Optional(processes.unasked(in: models)), !round.isEmpty {
            rounds.append(round)
            for name in round {
                let props = EngineReports.Properties(totalSlots: 3, isSleeping: false)
                processes.learned(props, of: name, arguments: processes.arguments(of: name))
            }
        }
        #expect(rounds.map(\.count) == [4, 4, 2])
        #expect(processes.note(models).map(\.listed.slots) == Array(repeating: 3, count: 10))
    }

    @Test("a new process of a model is asked again; until it has told them, the last one's slots count")
    func newProcess() {
        var processes = ModelProcesses()
        _ = processes.note([model("m", "loaded", port: 1)])
        let first = processes.arguments(of: "m")
        processes.learned(.init(totalSlots: 2, isSleeping: false), of: "m", arguments: first)
        #expect(processes.note([model("m", "unloaded", port: 0)]).map(\.listed.slots) == [2])
        let again = [model("m", "loaded", port: 2)]
        #expect(processes.note(again).map(\.listed.slots) == [2])
        #expect(processes.unasked(in: again) == ["m"])
        processes.learned(.init(totalSlots: 9, isSleeping: false), of: "m", arguments: first)
        #expect(processes.unasked(in: again) == ["m"], "that was the answer of the one that ended")
        processes.learned(.init(totalSlots: 5, isSleeping: false), of: "m", arguments: processes.arguments(of: "m"))
        #expect(processes.note(again).map(\.listed.slots) == [5])
    }

    @Test("a process that sleeps after a time without work is never asked for its slots, which would count as work")
    func sleepless() {
        var processes = ModelProcesses()
        let idle: JSON = ["value": "loaded", "args": ["llama-server", "--port", "3", "--sleep-idle-seconds", "300"]]
        _ = processes.note([
            model("a", "loaded", port: 1), model("b", "sleeping", port: 2),
            EngineReports.Model(id: "c", entry: ["id": "c", "status": idle]),
        ])
        #expect(processes.sleepless == ["a"])
    }

    @Test("names are encoded in questions to a process")
    func names() {
        #expect(
            ModelProcesses.target("/props", model: "ggml-org/gemma 3:Q4_K&M=é\u{1}")
                == "/props?model=ggml-org%2Fgemma%203%3AQ4_K%26M%3D%C3%A9%01&autoload=false")
    }

    // MARK: States of models

    @Test("a model whose process could not load it is failed; one whose process was killed later can be loaded again")
    func failed() {
        var processes = ModelProcesses()
        func residency(_ state: String, port: Int, failed: Bool = false) -> ListedModel.Residency? {
            processes.note([model("m", state, port: port, failed: failed)]).first?.listed.residency
        }
        #expect(residency("unloaded", port: 0) == .unloaded)
        #expect(residency("loading", port: 1) == .loading)
        #expect(residency("unloaded", port: 1, failed: true) == .failed)
        #expect(residency("loaded", port: 2) == .loaded)
        #expect(residency("unloaded", port: 2, failed: true) == .unloaded)
        #expect(residency("unloaded", port: 2, failed: true) == .unloaded)
        #expect(residency("unloaded", port: 3, failed: true) == .failed)
    }

    @Test("what a router says of images before it has loaded a model counts only as a yes")
    func images() throws {
        let text = """
            {"data":[{"id":"eyes","architecture":{"input_modalities":["text","image"]}},
            {"id":"blind","architecture":{"input_modalities":["text"]}}]}
            """
        let models = try #require(EngineReports.models(Array(text.utf8)))
        #expect(models.map(\.listed.traits.sees) == [true, nil])
    }

    private func model(_ name: String, _ state: String, port: Int, failed: Bool = false) -> EngineReports.Model {
        var status: JSON = ["value": .string(state), "args": .array(["llama-server", "--port", .string("\(port)")])]
        if failed { status = status.setting("exit_code", to: 1).setting("failed", to: true) }
        return EngineReports.Model(id: name, entry: ["id": .string(name), "status": status])
    }
}

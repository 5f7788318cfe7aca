import Routing
import Testing
import Wire

@testable import Control

@Suite("What engines say about themselves") struct EngineReportsTests {
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test(
        "the original's health answer is JSON or a word; any word but idle is busy",
        arguments: [
            (#"{"status":"idle","gpu_util_max5s":12.5,"window_seconds":5}"#, false, 12.5),
            (#"{"status":"busy","gpu_util_max5s":99}"#, true, 99), (#" {"status":"idle"} "#, false, nil),
            (#"{"status":"sleeping"}"#, true, nil), (#"{"status":"idle","gpu_util_max5s":"high"}"#, false, nil),
            ("idle", false, nil), ("  Idle\r\n", false, nil), (#""idle""#, false, nil), ("busy", true, nil),
            ("<html>", true, nil), ("idle?", true, nil), ("0", true, nil),
        ] as [(String, Bool, Double?)])
    func llmhealth(text: String, isBusy: Bool, gpu: Double?) {
        #expect(EngineReports.llmhealth(bytes(text)) == BackendReport(isBusy: isBusy, gpuUtilisation: gpu))
    }

    @Test(
        "neither a status nor a word is no answer", arguments: ["", " \n", "{}", #"{"status":null}"#, #"{"status":5}"#, #""""#])
    func noHealth(text: String) {
        #expect(EngineReports.llmhealth(bytes(text)) == nil)
    }

    @Test(
        "slots are counted, and those at work",
        arguments: [
            (#"[{"id":0,"is_processing":false}]"#, 1, 0),
            (#"[{"is_processing":true},{"is_processing":false},{"is_processing":true}]"#, 3, 2),
            (#"[{},null,5,{"is_processing":"true"}]"#, 4, 0),
        ])
    func slots(text: String, total: Int, busy: Int) {
        #expect(EngineReports.slots(bytes(text)) == .init(total: total, busy: busy))
    }

    @Test("slots of an old llama-server have a state: 0 is idle, 1 works")
    func oldSlots() throws {
        let slots = try #require(EngineFixture.llamafile["/slots"]?.body)
        #expect(EngineReports.slots(bytes(slots)) == .init(total: 2, busy: 1))
    }

    @Test(
        "what is no list of slots tells nothing", arguments: ["", "[]", "{}", "null", #"{"error":{"code":501}}"#, "[{]", "\u{1}"])
    func noSlots(text: String) {
        #expect(EngineReports.slots(bytes(text)) == nil)
    }

    @Test(
        "props tell the number of slots and whether the model sleeps",
        arguments: [
            (#"{"total_slots":4,"is_sleeping":true}"#, 4, true), (#"{"total_slots":1}"#, 1, false), ("{}", nil, false),
            (#"{"total_slots":"4"}"#, nil, false), (#"{"total_slots":1e400}"#, nil, false), (#"{"total_slots":2.5}"#, nil, false),
            (#"{"is_sleeping":"yes"}"#, nil, false),
        ] as [(String, Int?, Bool)])
    func props(text: String, total: Int?, isSleeping: Bool) throws {
        let props = try #require(EngineReports.props(bytes(text)))
        #expect(props.totalSlots == total)
        #expect(props.isSleeping == isSleeping)
    }

    @Test("props tell the context of a slot, and whether the model takes images")
    func contextAndSight() throws {
        let text = #"{"default_generation_settings":{"n_ctx":4096},"modalities":{"vision":true,"audio":false}}"#
        let props = try #require(EngineReports.props(bytes(text)))
        #expect(props.contextTokens == 4096)
        #expect(props.sees == true)
        let nothing = try #require(EngineReports.props(bytes(#"{"default_generation_settings":{"n_ctx":0}}"#)))
        #expect(nothing.contextTokens == nil)
        #expect(nothing.sees == nil)
    }

    @Test(
        "a model's context and its sight are found where each engine tells them",
        arguments: [
            (#"{"data":[{"id":"m","max_model_len":8192}]}"#, 8192, nil),
            (#"{"models":[{"name":"m","capabilities":["completion","vision"]}]}"#, nil, true),
            (#"{"data":[{"id":"m","loaded_context_length":4096}]}"#, 4096, nil),
            (#"{"data":[{"id":"m","max_model_len":0}]}"#, nil, nil),
        ] as [(String, Int?, Bool?)])
    func modelLimits(text: String, context: Int?, sees: Bool?) throws {
        let traits = try #require(EngineReports.models(bytes(text))?.first?.listed.traits)
        #expect(traits.contextTokens == context)
        #expect(traits.sees == sees)
    }

    @Test("what is no object is no props", arguments: ["", "[]", "4", "not found"])
    func noProps(text: String) {
        #expect(EngineReports.props(bytes(text)) == nil)
    }

    @Test("models are listed in their order, with all that is said of them")
    func models() throws {
        let llama = try #require(
            EngineReports.models(
                bytes(#"{"models":[{"name":"old"}],"object":"list","data":[{"id":"b","meta":{"n_ctx":5}},{"id":"a"}]}"#)))
        #expect(llama.map(\.id) == ["b", "a"])
        #expect(llama.first?.entry == ["id": "b", "meta": ["n_ctx": 5]])
        let ollama = EngineReports.models(bytes(#"{"models":[{"name":"qwen3:latest","size":5}]}"#))
        #expect(ollama?.map(\.id) == ["qwen3:latest"])
    }

    @Test("what llama-server leaves empty is unknown of the model, not its property")
    func emptyDetails() throws {
        let list = try #require(EngineFixture.llamaServers.first?.documents["/v1/models"]?.body)
        let models = try #require(EngineReports.models(bytes(list)))
        let traits = ModelTraits(parameters: "115520", family: "64", bytes: 231_680, contextTokens: 1024, sees: false)
        #expect(models.map(\.listed) == [ListedModel("m", aliases: ["m"], traits: traits)])
    }

    @Test(
        "entries without a name are left out, and a list of nothing is a list",
        arguments: [
            #"{"data":[]}"#, #"{"data":null}"#, #"{"data":[null,5,"m",{},{"id":""},{"id":5},[]]}"#,
        ])
    func namelessModels(text: String) {
        #expect(EngineReports.models(bytes(text)) == [])
    }

    @Test(
        "what is no list of models tells nothing",
        arguments: [
            "", "[]", "{}", #"{"data":{}}"#, "<html></html>", String(repeating: "[", count: 100_000),
        ])
    func noModels(text: String) {
        #expect(EngineReports.models(bytes(text)) == nil)
    }

    @Test(
        "engines are told apart by their signature and by who owns their models",
        arguments: [
            ("llama.cpp", nil, .llamaServer), ("LLAMA.CPP b1234", nil, .llamaServer),
            (nil, #"{"owned_by":"llamacpp"}"#, .llamaServer),
            (nil, #"{"owned_by":"vllm"}"#, .vllm), (nil, #"{"owned_by":"sglang"}"#, .sglang),
            (nil, #"{"owned_by":"library"}"#, .ollama), (nil, #"{"owned_by":"llama-swap"}"#, .llamaSwap),
            ("KoboldCppServer 1", #"{"owned_by":"koboldcpp"}"#, .openai),
            ("ConcedoLlamaForKoboldServer", #"{"owned_by":"koboldcpp"}"#, .openai),
            ("llamafile/0.9.3", #"{"owned_by":"llamafile"}"#, .openai), (nil, #"{"owned_by":"llama.cpp"}"#, .openai),
            (nil, #"{"owned_by":"organization_owner"}"#, .openai),
            ("uvicorn", #"{"owned_by":"vllm"}"#, .vllm), ("nginx", #"{"owned_by":"me"}"#, .openai), (nil, "{}", .openai),
            (nil, #"{"owned_by":5}"#, .openai), ("nginx", nil, nil), (nil, nil, nil),
        ] as [(String?, String?, EngineKind?)])
    func kinds(server: String?, entry: String?, kind: EngineKind?) throws {
        let models = try entry.map { [EngineReports.Model(id: "m", entry: try JSON(parsing: bytes($0)))] }
        #expect(EngineReports.kind(server: server, models: models) == kind)
    }

    @Test("random bytes never crash any reader", arguments: 0..<100)
    func random(seed: UInt64) {
        var state = seed &* 2_654_435_761 &+ 1
        let alphabet = bytes(#"{}[]",:01.e+-\ status models data id idle total_slots true null"# + "\u{0}\u{FF}")
        let text = (0..<60).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return alphabet[Int(state >> 33) % alphabet.count]
        }
        if let slots = EngineReports.slots(text) { #expect((0...slots.total).contains(slots.busy)) }
        if let models = EngineReports.models(text) { #expect(models.allSatisfy { !$0.id.isEmpty }) }
        _ = EngineReports.props(text)
        #expect((EngineReports.llmhealth(text) == nil) == (EngineReports.llmhealth(text + [0x20]) == nil))
    }
}

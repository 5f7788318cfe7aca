import Testing

@testable import Routing

@Suite("Model names")
struct ModelNameTests {
    @Test(
        "a reasoning suffix is taken off, a similar ending is not",
        arguments: [
            ("gpt-oss:20b-low", "gpt-oss:20b"), ("gpt-oss-medium", "gpt-oss"), ("x-high", "x"), ("paint-yellow", nil),
            ("xlow", nil), ("-low", nil), ("low", nil), ("", nil), ("a-low-b", nil), ("a-low-high", "a-low"),
        ] as [(String, String?)])
    func reasoningSuffix(model: String, expected: String?) {
        #expect(ModelName.withoutReasoningSuffix(model) == expected)
    }

    @Test(
        "instances have no gaps, `:latest` is the name itself, and an exact name beats its suffix",
        arguments: [
            ("m", ["m", "m-2", "m-3"], ["m", "m-2", "m-3"]),
            ("m", ["m", "m-3"], ["m"]),
            ("m", ["m-2"], nil),
            ("m", [], nil),
            ("m-low", ["m", "m-2"], ["m", "m-2"]),
            ("m-low", ["m", "m-low", "m-low-2"], ["m-low", "m-low-2"]),
            ("m-yellow", ["m"], nil),
            ("m", ["m:latest", "m-2:latest"], ["m", "m-2"]),
            ("m:latest", ["m", "m-2"], ["m", "m-2"]),
            ("m-high", ["m:latest"], ["m"]),
            ("m-2", ["m", "m-2"], ["m-2"]),
        ] as [(String, [String], [String]?)])
    func instances(model: String, listed: [String], expected: [String]?) {
        let found = ModelList(listed.map { ListedModel($0) }).instances(of: model)
        #expect(found?.names == expected)
        #expect(
            found?.renamesFirst ?? false
                == (found != nil && model.hasSuffix("low") && !listed.contains(model) || model == "m-high"))
    }

    @Test(
        "a name that ends in digits is an instance only beside its base, and without gaps",
        arguments: [
            (["Qwen3-4B-Instruct-2507", "DeepSeek-R1-0528", "phi-4"], ["Qwen3-4B-Instruct-2507", "DeepSeek-R1-0528", "phi-4"]),
            (["m", "m-2", "m-3"], ["m"]),
            (["m", "m-3"], ["m", "m-3"]),
            (["phi", "phi-4"], ["phi", "phi-4"]),
            (["m:latest", "m-2:latest"], ["m:latest"]),
        ])
    func withoutInstances(listed: [String], expected: [String]) {
        #expect(ModelList(listed.map { ListedModel($0) }).withoutInstances.map(\.name) == expected)
    }

    @Test(
        "a model whose size, parameters or family differ is no instance",
        arguments: [
            (ModelTraits(parameters: "2B"), ModelTraits(parameters: "9B"), false),
            (ModelTraits(family: "gemma"), ModelTraits(family: "gemma2"), false),
            (ModelTraits(quantization: "Q4_K_M"), ModelTraits(quantization: "Q8_0"), false),
            (ModelTraits(bytes: 1_000_000), ModelTraits(bytes: 1_020_000), false),
            (ModelTraits(bytes: 1_000_000), ModelTraits(bytes: 1_000_300), true),
            (ModelTraits(parameters: "2B", family: "gemma"), ModelTraits(parameters: "2B"), true),
            (ModelTraits(), ModelTraits(parameters: "9B", bytes: 5), true),
        ])
    func differingTraits(one: ModelTraits, two: ModelTraits, areInstances: Bool) {
        let list = ModelList([ListedModel("gemma", traits: one), ListedModel("gemma-2", traits: two)])
        #expect(list.instances(of: "gemma")?.names == (areInstances ? ["gemma", "gemma-2"] : ["gemma"]))
        #expect(list.withoutInstances.map(\.name) == (areInstances ? ["gemma"] : ["gemma", "gemma-2"]))
    }

    @Test("an alias is the model itself, with its instances; another model's own name beats an alias")
    func aliases() {
        let list = ModelList([
            ListedModel("m", aliases: ["gpt-big", "n"]), ListedModel("m-2", aliases: ["spare"]), ListedModel("n"),
        ])
        #expect(list.instances(of: "gpt-big") == .init(names: ["m", "m-2"]))
        #expect(list.name(of: "gpt-big") == "m")
        #expect(list.instances(of: "n")?.names == ["n"])
        #expect(list.instances(of: "spare")?.names == ["m-2"])
        #expect(list.name(of: "other") == nil)
    }

    @Test("a request with a reasoning suffix asks the engine for the base name")
    func suffixIsRewritten() {
        var scene = Scene([("A", nil)])
        let (ticket, effects) = scene.ask("m-high")
        #expect(effects.grant(of: ticket)?.model == "m")
    }
}

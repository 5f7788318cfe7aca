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
        "a numbered instance ends in a dash and digits",
        arguments: [
            ("m-2", true), ("m-10", true), ("gpt-oss-20b", false), ("m-", false), ("-2", false), ("m2", false), ("", false),
            ("a-2-b", false), ("a-b-2", true), ("m-٢", false),
        ])
    func numberedInstance(model: String, expected: Bool) {
        #expect(ModelName.isNumberedInstance(model) == expected)
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
            ("m-high", ["m:latest"], ["m"]),
            ("m-2", ["m", "m-2"], ["m-2"]),
        ] as [(String, [String], [String]?)])
    func instances(model: String, listed: [String], expected: [String]?) {
        var backend = Backend(server: .init(id: Scene.id(1), name: "A"))
        #expect(backend.instances(of: model) == nil)
        backend.models = listed
        #expect(backend.instances(of: model) == expected)
    }

    @Test("a request with a reasoning suffix asks the engine for the base name")
    func suffixIsRewritten() {
        var scene = Scene([("A", nil)])
        let (ticket, effects) = scene.ask("m-high")
        #expect(effects.grant(of: ticket)?.model == "m")
    }
}

import Testing
import Wire

@testable import Proxy

@Suite("Model rules")
struct ModelRuleSetTests {
    private static func effort(_ level: String) -> ModelRule {
        ModelRule(
            modelPattern: "gpt-oss", modelSuffixes: ["-" + level],
            set: [.init(name: "chat_template_kwargs", value: ["reasoning_effort": .string(level)])])
    }

    private static let cline = ModelRule(
        modelPattern: "gpt-oss", systemPrefixes: ["You are Cline", "You are Roo"],
        set: [.init(name: "reasoning_format", value: "auto"), .init(name: "grammar", value: "root ::= x")])

    private static let continueDev = ModelRule(
        modelPattern: "gpt-oss", modelSuffixes: ["-apply", "-edit"], stripSuffix: true,
        set: [.init(name: "reasoning_format", value: "auto")])

    private func change(_ rules: [ModelRule], model: String, system: String = "") -> ModelRuleSet.Change? {
        var set = ModelRuleSet(rules)
        return set.change(model: model, systemText: { system })
    }

    @Test("a suffix sets the reasoning effort, in any case of letters", arguments: ["gpt-oss:20b-high", "GPT-OSS-120B-HIGH"])
    func effort(model: String) {
        let change = change([Self.effort("low"), Self.effort("high")], model: model)
        #expect(change?.fields.map(\.name) == ["chat_template_kwargs"])
        #expect(change?.fields.first?.value == ["reasoning_effort": "high"])
        #expect(change?.model == model)
    }

    @Test("names that only look alike are left alone", arguments: ["gpt-oss-yellow", "gpt-oss:20blow", "qwen-low", "-low"])
    func noEffort(model: String) { #expect(change([Self.effort("low")], model: model) == nil) }

    @Test("the suffix is stripped where the rule says so", arguments: ["-apply", "-edit"])
    func strip(suffix: String) {
        let change = change([Self.continueDev], model: "gpt-oss:20b" + suffix)
        #expect(change?.model == "gpt-oss:20b")
        #expect(change?.fields.map(\.name) == ["reasoning_format"])
    }

    @Test("a rule on the system message looks at how it begins")
    func system() {
        #expect(change([Self.cline], model: "gpt-oss", system: "You are Cline, a coder")?.fields.count == 2)
        #expect(change([Self.cline], model: "gpt-oss", system: "You are Roo")?.fields.count == 2)
        #expect(change([Self.cline], model: "gpt-oss", system: "Hello. You are Cline") == nil)
        #expect(change([Self.cline], model: "qwen", system: "You are Cline") == nil)
    }

    @Test("rules add up in their order, and the later one sets a field")
    func order() {
        var later = Self.effort("low")
        later.set = [.init(name: "reasoning_format", value: "none")]
        var stripping = Self.continueDev
        stripping.modelSuffixes = ["-low"]
        let change = change([stripping, Self.effort("low"), later], model: "gpt-oss-low")
        #expect(change?.model == "gpt-oss")
        #expect(change?.fields.map(\.name) == ["chat_template_kwargs", "reasoning_format"])
        #expect(change?.fields.last?.value == "none")
    }

    @Test("the system message is not read for models that no rule concerns")
    func lazily() {
        var set = ModelRuleSet([Self.cline])
        var wasAsked = false
        for _ in 0..<2 {
            _ = set.change(
                model: "qwen",
                systemText: {
                    wasAsked = true
                    return ""
                })
        }
        #expect(!wasAsked)
    }

    @Test("a pattern is not searched in a name longer than its limit")
    func longName() {
        let rule = ModelRule(modelPattern: "gpt-oss", set: [.init(name: "x", value: 1)])
        let longest = "gpt-oss" + String(repeating: "m", count: ModelRuleSet.searchedName - 7)
        #expect(change([rule], model: longest) != nil)
        #expect(change([rule], model: longest + "m") == nil)
    }

    @Test("the system message is read once, however many rules look at it")
    func readOnce() {
        var set = ModelRuleSet([Self.cline, Self.cline, Self.cline])
        var reads = 0
        _ = set.change(
            model: "gpt-oss",
            systemText: {
                reads += 1
                return "You are nobody"
            })
        #expect(reads == 1)
    }

    @Test("names are remembered up to a limit")
    func remembered() {
        var set = ModelRuleSet([Self.cline])
        for number in 0..<(3 * ModelRuleSet.rememberedModels) {
            _ = set.concern("model-\(number)")
            #expect(set.rememberedCount <= ModelRuleSet.rememberedModels)
        }
        let concerns = set.concern("gpt-oss")
        #expect(concerns)
    }
}

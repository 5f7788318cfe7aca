import Testing

@testable import App

@Suite("Warnings of a configuration") struct ConfigurationWarningsTests {
    @Test(
        "a repeated group in which something repeats is found",
        arguments: [
            "(a+)+b", #"(\w+ ?)+:"#, "(a*)*", "(?:a+|b)*", "((a+)b)+", "(a{2,})+", "(a+){2,}", "(a+){10}", "([)]+)+", #"x(\(+)*"#,
            "([]a]+)+",
        ])
    func nested(pattern: String) { #expect(NestedQuantifiers.occur(in: pattern)) }

    @Test(
        "other repetitions are not",
        arguments: [
            "", "a+b*", "(a+)b+", "(a+)?", "(ab)+", #"(\d{1,3}\.){3}\d+"#, #"(a\+)+"#, "([+*])+", "(.*), (.*), (.*)", "gpt.*",
            "a{",
            "(a+){x}", "(a+", "a)+",
        ])
    func plain(pattern: String) { #expect(!NestedQuantifiers.occur(in: pattern)) }

    @Test("such a pattern is named with its key; what is built in has none")
    func named() throws {
        #expect(try configuration(withServer("")).warnings.isEmpty)
        let keys = [
            ("sticky: { username-pattern: '(a+)+b' }", "sticky.username-pattern"),
            ("volatile-prompts: ['Now: (.*)', '(a+)+b']", "volatile-prompts"), ("models: { '(a+)+b': [a] }", "models"),
            ("model-rules: [{ match: { model: '(a+)+b' }, set: { x: 1 } }]", "model-rules[].match.model"),
        ]
        for (text, key) in keys {
            let warnings = try configuration(withServer(text)).warnings
            #expect(warnings.count == 1 && warnings[0].hasPrefix("\(key): (a+)+b repeats a group"), "\(warnings)")
        }
    }
}

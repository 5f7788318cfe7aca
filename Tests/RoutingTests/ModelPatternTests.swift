import Testing

@testable import Routing

@Suite("Model patterns")
struct ModelPatternTests {
    @Test(
        "match the whole name",
        arguments: [
            ("gpt-oss:20b-64k.*", "gpt-oss:20b-64k", true), ("gpt-oss:20b-64k.*", "gpt-oss:20b-64k-2", true),
            ("gpt-oss:20b-64k.*", "my-gpt-oss:20b-64k", false), ("qwen", "qwen", true), ("qwen", "qwen2", false),
            ("qwen", "Qwen", false), ("(?i)qwen", "Qwen", true), ("a|ab", "ab", true), ("a|b", "b", true),
            ("a|b", "c", false), ("(a|b)-x", "b-x", true), ("q.en", "qwen", true), (#"q\.en"#, "qwen", false),
            (#"q\.en"#, "q.en", true), ("[0-9]+b", "120b", true), ("", "", true), ("", "x", false), (".*", "", true),
            ("日本.*", "日本語", true), ("x{2}", "xx", true),
        ])
    func wholeMatch(pattern: String, model: String, expected: Bool) {
        #expect(ModelPattern(pattern).matches(model) == expected)
    }

    @Test("that are expressions see no name of more than 256 bytes")
    func longNames() {
        let (longest, tooLong) = (String(repeating: "m", count: 256), String(repeating: "m", count: 257))
        #expect(ModelPattern("m+").matches(longest))
        #expect(!ModelPattern("m+").matches(tooLong))
        #expect(!ModelPattern(".*").matches(String(repeating: "é", count: 129)), "counted in bytes")
        #expect(ModelPattern(tooLong).matches(tooLong), "a literal pattern is compared, whatever its length")
    }

    @Test("that do not compile match nothing", arguments: ["(", "[", "*a", "a{2", "(?<"])
    func bad(pattern: String) {
        #expect(!ModelPattern(pattern).matches("a"))
        #expect(!ModelPattern(pattern).matches(""))
    }

    @Test("are tried in order: the first that matches decides, even when its servers are full")
    func order() {
        var scene = Scene([("A", 1), ("B", 1)], routes: [("m.*", [1]), ("m", [2])])
        _ = scene.ask("m", client: "1")
        let (second, effects) = scene.ask("m", client: "2")
        #expect(effects.grant(of: second) == nil)
        #expect(scene.server("B")?.inFlight == 0)
    }

    @Test("`m:latest` is the model that a pattern for `m` means, and a plain name means both")
    func latest() {
        #expect(ModelPattern("llama3.2").matches("llama3.2:latest"))
        #expect(ModelPattern("llama.*").matches("llama3.2:latest"))
        #expect(ModelPattern("qwen3:latest").matches("qwen3"))
        #expect(!ModelPattern("llama3.2").matches("llama3.2:1b"))
        #expect(!ModelPattern(".*:latest").matches("qwen3"), "an expression means what it says")
    }

    @Test("a pattern that is a name says so")
    func names() {
        #expect(ModelPattern("qwen2.5").name == "qwen2.5")
        #expect(ModelPattern(#"qwen2\.5:7b"#).name == "qwen2.5:7b")
        for pattern in ["qwen.*", "a|b", "m?", #"m\d"#, "[ab]"] { #expect(ModelPattern(pattern).name == nil) }
    }
}

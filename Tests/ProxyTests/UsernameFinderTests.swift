import Testing
import Wire

@testable import Proxy

@Suite("The user's name in a system message")
struct UsernameFinderTests {
    /// The default of the configuration: the original's pattern.
    private static let pattern = #"ユーザーの名前は[「『“"']([^」』”"']+)[」』”"']"#

    private func username(in body: String, pattern: String = pattern) throws -> String? {
        let finder = try #require(UsernameFinder(pattern: pattern))
        let bytes = Array(body.utf8)
        var scanner = RequestScanner()
        scanner.feed(bytes.span.bytes)
        return finder.username(in: try scanner.finish(), body: bytes.span.bytes)
    }

    private func chat(_ system: String, role: String = "system") -> String {
        #"{"model":"m","messages":[{"role":"\#(role)","content":\#(system)},{"role":"user","content":"hi"}]}"#
    }

    @Test(
        "is found in any of the quotes",
        arguments: ["「太郎」", "『太郎』", "“太郎”", "'太郎'", #"\"太郎\""#])
    func quotes(quoted: String) throws {
        #expect(try username(in: chat(#""前文。ユーザーの名前は\#(quoted)です。""#)) == "太郎")
    }

    @Test("is found when the text is escaped")
    func escaped() throws {
        let escaped = #""\u30e6\u30fc\u30b6\u30fc\u306e\u540d\u524d\u306f\u300cTaro\u300d""#
        #expect(try username(in: chat(escaped)) == "Taro")
    }

    @Test("is found in text parts")
    func parts() throws {
        let parts = #"[{"type":"text","text":"one"},{"type":"text","text":"ユーザーの名前は「Hanako」"}]"#
        #expect(try username(in: chat(parts)) == "Hanako")
    }

    @Test("is found after a beginning that did not go on")
    func falseStart() throws {
        #expect(try username(in: chat(#""ユーザーの名前は不明。ユーザーの名前は「次郎」""#)) == "次郎")
    }

    @Test(
        "is not found elsewhere",
        arguments: [
            #"{"model":"m","messages":[{"role":"user","content":"ユーザーの名前は「太郎」"}]}"#,
            #"{"model":"m","messages":[{"role":"system","content":"ユーザーの名前は太郎"}]}"#,
            #"{"model":"m","messages":[{"role":"system","content":"ユーザーの名前は「」"}]}"#,
            #"{"model":"m","messages":[]}"#,
        ])
    func absent(body: String) throws { #expect(try username(in: body) == nil) }

    @Test(
        "patterns without a fixed beginning work as well",
        arguments: [#"(?:user|name)=(\w+)"#, #"n?ame=(\w+)"#, #"user=(\w+)|name=(\w+)"#, #"[Uu]ser=(\w+)"#, #"x*user=(\w+)"#])
    func freePatterns(pattern: String) throws {
        #expect(try username(in: chat(#""hello, user=bob and name=bob""#), pattern: pattern) == "bob")
    }

    @Test("a pattern that does not compile, or none, finds nothing")
    func noPattern() {
        #expect(UsernameFinder(pattern: nil) == nil)
        #expect(UsernameFinder(pattern: "(") == nil)
    }
}

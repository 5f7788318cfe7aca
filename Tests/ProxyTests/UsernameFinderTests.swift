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

    @Test("is found between quotes and slashes that JSON writes as escapes")
    func escapedPrefix() throws {
        #expect(try username(in: chat(#""login name=\"bob\"""#), pattern: #"name="(\w+)""#) == "bob")
        #expect(try username(in: chat(#""home\/bob\/x""#), pattern: #"home/(\w+)/"#) == "bob")
    }

    @Test("a group with alternatives behind a fixed beginning leaves the beginning fixed")
    func literalPrefixes() {
        #expect(LiteralPrefix.of(#"name is (?:Mr|Ms) (\w+)"#) == "name is ")
        #expect(LiteralPrefix.of(#"name[ |:]+(\w+)"#) == "name")
        #expect(LiteralPrefix.of(#"name[(|](\w+)"#) == "name")
        #expect(LiteralPrefix.of(#"name=(\w+)|user=(\w+)"#) == "")
        #expect(LiteralPrefix.of(#"name\(|user"#) == "")
        #expect(LiteralPrefix.of(#"names?=(\w+)"#) == "name")
        #expect(LiteralPrefix.of(#"name\Q|\E(\w+)"#) == "")
    }

    // MARK: Bounds

    private struct Work {
        var pieces: [Substring] = []
        var scalars: Int { pieces.reduce(0) { $0 + $1.unicodeScalars.count } }
    }

    /// What the expression would be given for a text in which it finds nothing.
    private func work(in text: String, pattern: String = pattern) throws -> Work {
        let finder = try #require(UsernameFinder(pattern: pattern))
        var work = Work()
        _ = finder.username(in: text) { piece in
            work.pieces.append(piece)
            return nil
        }
        return work
    }

    @Test("a text that repeats the pattern's beginning costs few tries, each on a short piece")
    func repeatedPrefix() throws {
        let work = try work(in: String(repeating: "ユーザーの名前は「", count: 2_600))
        #expect(work.pieces.count == UsernameFinder.Limits.anchored.pieces)
        #expect(work.pieces.allSatisfy { $0.unicodeScalars.count <= UsernameFinder.Limits.anchored.length })
        #expect(work.scalars <= 4_096)
    }

    @Test("a pattern without a fixed beginning sees the first 2,048 characters, in short pieces that overlap")
    func searchedPieces() throws {
        let work = try work(in: String(repeating: "a", count: 60_000), pattern: #".*name=(\w+)"#)
        #expect(work.pieces.count == UsernameFinder.Limits.searched.pieces)
        #expect(work.pieces.allSatisfy { $0.unicodeScalars.count <= UsernameFinder.Limits.searched.length })
        #expect(work.scalars <= 4_096)
        #expect(try self.work(in: "short", pattern: #"(\w+)"#).pieces == ["short"])
    }

    @Test("one character of many scalars is no way around the length of a piece")
    func longCharacter() throws {
        let text = "e" + String(repeating: "\u{301}", count: 20_000)
        #expect(try work(in: text, pattern: #"[a-z](\w+)!"#).scalars <= 4_096)
        #expect(try work(in: "name" + text, pattern: #"name(\w+)!"#).scalars <= 4_096)
    }

    @Test("each try is anchored: text before the pattern's beginning is not searched again")
    func anchoredTries() throws {
        let pieces = try work(in: "x name=. y name=!", pattern: #"name=(\w+)"#).pieces
        #expect(pieces == ["name=. y name=!", "name=!"])
        #expect(try username(in: chat(#""name=. name=eve""#), pattern: #"name=(\w+)"#) == "eve")
    }

    @Test(
        "wherever a short match lies in the searched text, one piece holds it whole",
        arguments: [0, 1, 50, 63, 64, 65, 100, 127, 128, 1_900])
    func overlap(offset: Int) throws {
        let text = String(repeating: ".", count: offset) + "user=bob;" + String(repeating: ".", count: 500)
        #expect(try username(in: chat("\"\(text)\""), pattern: #"[Uu]ser=(\w+)"#) == "bob")
    }

    @Test("a name that a piece cuts off is none, one that ends with the text is")
    func cutNames() throws {
        let long = String(repeating: "n", count: 400)
        #expect(try username(in: chat(#""user=\#(long)""#), pattern: #"user=(\w+)"#) == nil)
        #expect(try username(in: chat(#""user=\#(long)""#), pattern: #"[u]ser=(\w+)"#) == nil)
        #expect(try username(in: chat(#""user=\#(long.prefix(200))""#), pattern: #"user=(\w+)"#) == String(long.prefix(200)))
        #expect(try username(in: chat(#""I am user=bob""#), pattern: #"[u]ser=(\w+)"#) == "bob")
    }

    @Test("a pattern for the beginning of the text does not match at the beginning of a later piece")
    func startAnchor() throws {
        let text = String(repeating: ".", count: 64) + "user=bob" + String(repeating: ".", count: 200)
        #expect(try username(in: chat("\"\(text)\""), pattern: #"^user=(\w+)"#) == nil)
        #expect(try username(in: chat(#""user=bob.""#), pattern: #"^user=(\w+)"#) == "bob")
    }

    @Test("the name is looked for in the first 64 KB of the system messages and no further")
    func searchedBytes() throws {
        func body(_ padding: Int) -> String { chat("\"\(String(repeating: ".", count: padding))user=bob.\"") }
        let limit = UsernameFinder.searchedBytes
        #expect(try username(in: body(limit - 9), pattern: #"user=(\w+)"#) == "bob")
        #expect(try username(in: body(limit - 4), pattern: #"user=(\w+)"#) == nil)
    }

    @Test("the seventeenth beginning is not looked at, although it lies in the last piece")
    func lastTry() throws {
        let falseStarts = String(repeating: "name=.", count: UsernameFinder.Limits.anchored.pieces)
        #expect(try username(in: chat("\"\(falseStarts)name=eve.\""), pattern: #"name=(\w+)"#) == nil)
        #expect(try username(in: chat("\"\(falseStarts.dropFirst(6))name=eve.\""), pattern: #"name=(\w+)"#) == "eve")
    }

    @Test("the look at the raw bytes ends where the search does")
    func rawBytes() throws {
        let finder = try #require(UsernameFinder(pattern: #"user=(\w+)"#))
        for (padding, expected) in [(UsernameFinder.searchedBytes - 5, true), (UsernameFinder.searchedBytes - 4, false)] {
            let bytes = Array(chat("\"\(String(repeating: ".", count: padding))user=bob.\"").utf8)
            var scanner = RequestScanner()
            scanner.feed(bytes.span.bytes)
            #expect(finder.mayMatch(try scanner.finish(), bytes.span.bytes) == expected)
        }
    }
}

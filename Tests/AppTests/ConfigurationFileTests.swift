import Foundation
import Testing
import Wire

@testable import App

@Suite("Reading configuration files") struct ConfigurationFileTests {
    @Test(
        "hostile text is refused, quickly and without a crash",
        arguments: [
            ("brackets", String(repeating: "[", count: 1_000_000)), ("braces", String(repeating: "{a: ", count: 200_000)),
            ("dashes", String(repeating: "- ", count: 500_000)), ("questions", String(repeating: "? ", count: 500_000)),
            ("closed", String(repeating: "[", count: 900) + String(repeating: "]", count: 900)),
            ("long", String(repeating: "x", count: 1 << 20)), ("longer", String(repeating: "#", count: (1 << 20) + 1)),
            ("NUL", "a: \0"), ("control", "a: \u{7}"), ("backspace", "{\"a\": \"\u{8}\"}"), ("mark only", "\u{FEFF}"),
            ("anchor", "&a [*a]"), ("alias", "*a"), ("alias key", "? *a\n: 1"), ("list key", "? [a]\n: 1"),
            ("tag", "!<tag:x> {a: 1}"),
            ("binary", "!!binary xx"), ("directive", "%YAML 9.9\n---\na: 1"), ("end", "..."), ("merge", "<<: {a: 1}"),
        ])
    func hostile(name: String, text: String) {
        #expect(!problems(text).isEmpty)
    }

    @Test("aliases that multiply are refused before they are written out")
    func aliasBomb() {
        var lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
        for level in 1...9 {
            let aliases = Array(repeating: "*a\(level - 1)", count: 9).joined(separator: ", ")
            lines.append("a\(level): &a\(level) [\(aliases)]")
        }
        let found = problems(lines.joined(separator: "\n") + "\n? *a9\n: x")
        #expect(found == [" error: the file's aliases (*name) stand for too much text; write the values out"])
    }

    @Test("a few anchors and aliases are welcome")
    func anchors() throws {
        let found = try configuration(
            "servers:\n  a: { url: 'http://h:1', headers: &h { X: y } }\n  b: { url: 'http://h:2', headers: *h }")
        #expect(found.servers.map(\.headers.count) == [1, 1])
    }

    @Test("JSON may be indented with tabs, have Windows line ends and a byte order mark")
    func jsonForms() throws {
        let text = "\u{FEFF}{\r\n\t\"servers\": {\r\n\t\t\"a\":{\"url\":\"http:\\/\\/h:1\"}\r\n\t}\r\n}\r\n"
        #expect(try configuration(text).servers.map(\.name) == ["a"])
    }

    @Test("names in any script and order are kept")
    func names() throws {
        let names = ["遅いPC", "1", "null", "\\u901f"]
        let entries = names.map { "\"\($0)\": {\"url\": \"http://h\"}" }
        let text = "{\"servers\": {\(entries.joined(separator: ", "))}}"
        #expect(try configuration(text).servers.map(\.name) == ["遅いPC", "1", "null", "速"])
    }

    @Test("every repetition of a key is reported where it stands, and does not hide other problems")
    func repeatedKeys() {
        let text = """
            servers:
              a: { url: 'http://h:1', url: 'http://url: h', "url": 'http://h:2' }
              b: { url: 'http://h:2' }
              a: { url: 'http://h:3' }
              c: { url: 'ftp://h' }
            servers: {}
            queue: { max-wait: soon }
            """
        #expect(
            problems(text) == [
                #"2:27: error: "url" is already in this object, in line 2, column 8; remove one of them"#,
                #"2:49: error: "url" is already in this object, in line 2, column 8; remove one of them"#,
                #"4:3: error: "a" is already in this object, in line 2, column 3; remove one of them"#,
                "5:13: error: servers.c.url: the address has a scheme other than http and https; "
                    + #"for example "http://192.168.1.20:8080""#,
                #"6:1: error: "servers" is already in this object, in line 1, column 1; remove one of them"#,
                #"7:20: error: queue.max-wait: expected a duration, found the text "soon"; "#
                    + #"write "300ms", "5s", "3m", "1h" or a number of seconds"#,
            ])
    }

    @Test("thousands of repeated keys, and a mistake behind them, are told in a moment")
    func manyRepeatedKeys() {
        let aliases = (0..<4000).map { "  k\($0 % 2000): m\n" }.joined()
        let found = problems("servers: { a: { url: 'http://h:1' } }\naliases:\n\(aliases)queue: -\n")
        #expect(found.count == 2 && found.last?.hasPrefix("4003:8: error: ") == true, "\(found.suffix(2))")
        #expect(problems("servers: { a: { url: 'http://h:1' } }\naliases:\n\(aliases)").count == 2000)
    }

    @Test("values that look like a repeated key stay as they are")
    func repeatedKeyInValues() throws {
        let content = try ConfigurationFile.parse(#"{ "a": "x, a: b", "a": "{a: c}", "b": { "a": "\"a\": 1" } }"#, file: "")
        #expect(content.root.json == ["a": "x, a: b", "b": ["a": #""a": 1"#]])
        #expect(content.problems.count == 1)
    }

    @Test("a repeated key that is spelled in two ways, or has characters that marks use, is reported all the same")
    func repeatedKeyBeyondMarks() {
        for text in [#"{ "a": 1, "\u0061": 2, "\u0061": 3 }"#, "{ \"\u{F0000}\": 1, \"\u{F0000}\": 2 }"] {
            #expect(problems(text).contains { $0.contains("more than once") || $0.contains("already in this object") })
        }
    }

    @Test("cut off anywhere, a file is reported or still valid, never a crash", arguments: ProjectFiles.examples)
    func everyPrefix(example: String) throws {
        let text = try ProjectFiles.text("examples/\(example)")
        for end in text.indices where text.distance(from: text.startIndex, to: end).isMultiple(of: 7) {
            for answer in problems(String(text[..<end])) { #expect(answer.contains("error: ")) }
        }
    }

    @Test("a long list of problems is cut, with its count")
    func manyProblems() {
        let keys = (0..<200).map { "zzzz\($0): 1" }.joined(separator: "\n")
        guard case .failure(let found) = ConfigurationLoader.load(text: withServer(keys), file: "f", environment: [:]) else {
            Issue.record("a file with unknown keys was accepted")
            return
        }
        #expect(found.list.count == 200)
        #expect(found.description.hasSuffix("… and 150 more"))
    }

    // MARK: On disk

    @Test("a file that cannot be read is reported with the reason")
    func unreadable() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "llama-balancer-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        func answer(_ path: String) -> String {
            switch ConfigurationLoader.load(file: path, environment: [:]) {
            case .success: "accepted"
            case .failure(let problems): problems.description.replacing(folder.path, with: "")
            }
        }
        func write(_ bytes: Data, _ name: String) throws -> String {
            let file = folder.appending(path: name)
            try bytes.write(to: file)
            return file.path
        }
        #expect(answer(folder.path + "/none.json").hasPrefix("/none.json: error: there is no such file; "))
        #expect(answer(folder.path) == ": error: this is a folder, not a file")
        #expect(try answer(write(Data([0x61, 0xFF]), "latin")) == "/latin: error: the file is not UTF-8 text; save it as UTF-8")
        #expect(try answer(write(Data(), "empty")) == "/empty:1:1: error: the file is empty; it needs at least `servers`")
        #expect(
            try answer(write(Data(repeating: 0x23, count: 3 << 20), "large")) == "/large: error: the file is larger than 1 MB")
        #expect(try answer(write(Data(withServer("").utf8), "good")) == "accepted")
    }

    @Test("the file is the one of --config, of the environment, or the first one in the folder")
    func located() {
        func locate(_ option: String?, _ variable: String?, here: Set<String>) -> String? {
            ConfigurationLoader.locate(
                option: option, environment: variable.map { ["SERVER_LIST_JSON": $0] } ?? [:], fileExists: here.contains)
        }
        let all: Set = ["server-list.json", "server-list.yaml", "server-list.yml"]
        #expect(locate("a", "b", here: all) == "a")
        #expect(locate(nil, "b", here: all) == "b")
        #expect(locate(nil, "", here: all) == "server-list.json")
        #expect(locate(nil, nil, here: ["server-list.yaml", "server-list.yml"]) == "server-list.yaml")
        #expect(locate(nil, nil, here: ["server-list.yml"]) == "server-list.yml")
        #expect(locate(nil, nil, here: []) == nil)
    }

    @Test("without any configuration the message shows an address, a file that works and the demo")
    func nothingConfigured() throws {
        let message = ConfigurationLoader.nothingConfigured
        #expect(message.contains("llama-balancer http://"))
        #expect(message.contains("llama-balancer demo"))
        let lines = message.split(separator: "\n").filter { $0.hasPrefix("    servers:") || $0.hasPrefix("      PC") }
        #expect(try configuration(lines.joined(separator: "\n")).servers.count == 2)
    }
}

@Suite("Servers given as URLs") struct ConfigurationURLTests {
    @Test("servers are named by host and port, and all else is default")
    func named() throws {
        let found = try Configuration(urls: ["http://a:8080", "b:8081", "https://c", "[::1]:1"])
        #expect(found.servers.map(\.name) == ["a:8080", "b:8081", "c:443", "[::1]:1"])
        #expect(
            found.servers.map(\.baseURL.description) == ["http://a:8080", "http://b:8081", "https://c:443", "http://[::1]:1"])
        #expect(found == Configuration(servers: found.servers))
    }

    @Test("every bad URL is reported with its number, and passwords are not repeated")
    func refused() {
        do {
            _ = try Configuration(urls: ["ftp://a", "http://u:secret@b", "c:1", "http://c:1/", "d:x"])
            Issue.record("bad URLs were accepted")
        } catch {
            #expect(
                error.list.map(\.description) == [
                    "command line: error: URL 1: the address has a scheme other than http and https; "
                        + "for example \"http://192.168.1.20:8080\"",
                    "command line: error: URL 2: a user name or password in the address is not allowed; use api-key or headers",
                    "command line: error: URL 4: c:1 is given twice; a file can give such servers names of their own",
                    "command line: error: URL 5: \"x\" is not a port; ports are numbers from 1 to 65535",
                ])
        }
        do {
            _ = try Configuration(urls: ["staus", "version", "my.yaml", "http//x:1", "http//u:secret@b"])
            Issue.record("words were accepted as addresses")
        } catch {
            #expect(
                error.list.map(\.description) == [
                    "command line: error: URL 1: \"staus\" is no address; did you mean the command \"status\"?",
                    "command line: error: URL 2: \"version\" is no address; write it with its port, such as http://version:8080",
                    "command line: error: URL 3: \"my.yaml\" is no address; a file is named with --config",
                    "command line: error: URL 4: \"http//x:1\" is no address; begin it with http:// or https://",
                    "command line: error: URL 5: this is no address; begin it with http:// or https://",
                ])
            #expect(!error.description.contains("secret"))
        }
        #expect(throws: Problems.self) { try Configuration(urls: []) }
    }
}

@Suite("Did you mean") struct SuggestionTests {
    @Test(
        "the nearest name is suggested, if it is near",
        arguments: [
            ("model-prot", "model-port"), ("request_max", "request-max"), ("adr", "addr"), ("URL", "url"), ("knid", "kind"),
            ("apikey", "api-key"), ("xyz", nil), ("cors", nil), ("", nil),
        ])
    func nearest(written: String, expected: String?) {
        #expect(Suggestion.nearest(to: written, among: ConfigurationKeys.server.names) == expected)
    }

    @Test("a distance counts slips, and two letters swapped are one")
    func distance() {
        #expect(Suggestion.distance("kitten", "sitting") == 3)
        #expect(Suggestion.distance("prot", "port") == 1)
        #expect(Suggestion.distance("", "abc") == 3)
        #expect(Suggestion.distance("abc", "abc") == 0)
        #expect(Suggestion.distance(String(repeating: "a", count: 100_000), "a") == 100_000)
    }
}

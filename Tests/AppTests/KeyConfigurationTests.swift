import ArgumentParser
import Foundation
import Proxy
import Routing
import Testing

@testable import App

@Suite("Keys in the configuration") struct KeyConfigurationTests {
    private static let digest = KeyDigest(of: "lb-0123456789abcdefghij".utf8).hexadecimal

    @Test("are read from a SHA-256 or from the environment, with their rights")
    func read() throws {
        let found = try configuration(
            withServer(
                """
                keys:
                  - { name: alice, key-sha256: \(Self.digest) }
                  - { name: ci, key: "${CI_KEY}", models: ['qwen3.*', m], expires: 2027-01-31 }
                  - { name: operator, key: "${ADMIN_KEY}", admin: true, expires: "2027-01-31T12:00:00Z",
                      request-max: 4, requests-per-minute: 60, tokens-per-minute: 200000, tokens-per-day: 5000000 }
                forward-client-key: true
                """), environment: ["CI_KEY": "a-key-for-the-builds", "ADMIN_KEY": "a-key-for-operators"])
        #expect(
            found.keys == [
                ClientKey(name: "alice", digest: KeyDigest(of: "lb-0123456789abcdefghij".utf8)),
                // The first moment of the next day.
                ClientKey(
                    name: "ci", digest: KeyDigest(of: "a-key-for-the-builds".utf8),
                    models: [ModelPattern("qwen3.*"), ModelPattern("m")], expiresAt: 1_801_440_000_000),
                ClientKey(
                    name: "operator", digest: KeyDigest(of: "a-key-for-operators".utf8), isAdmin: true,
                    expiresAt: 1_801_396_800_000,
                    limits: KeyLimits(
                        requestMax: 4, requestsPerMinute: 60, tokensPerMinute: 200_000, tokensPerDay: 5_000_000)),
            ])
        #expect(found.forwardsClientKey)
        #expect(!found.summary.contains("a-key-for") && found.summary.contains("operator"))
    }

    @Test("tell what they are good for, and how they stand beside others")
    func rights() throws {
        let text = "keys: [{ name: a, key-sha256: \(Self.digest), paths: [chat, metrics], priority: bulk, weight: 0.5 }]"
        let found = try configuration(withServer(text))
        #expect(found.keys.first?.paths == [.chat, .metrics])
        #expect(found.keys.first?.share == KeyShare(priority: .bulk, weight: 0.5))
        #expect(found.keys.first?.isAdmin == false)
        #expect(found.summary.contains("chat, metrics") && found.summary.contains("priority bulk, weight 0.5"))
        let admin = try configuration(withServer("keys: [{ name: a, key-sha256: \(Self.digest), paths: [admin] }]"))
        #expect(admin.keys.first?.isAdmin == true)
    }

    @Test(
        "what is wrong with these rights is reported",
        arguments: [
            ("paths: [talk]", "unknown group of paths; valid: chat, embeddings"), ("paths: []", "the key opens nothing"),
            ("paths: [admin], admin: false", "paths says the opposite"), ("weight: 0", "not a number from 0.01 to 100"),
            ("weight: '2'", "not a number"), ("priority: high", "valid: interactive, normal, bulk"),
        ])
    func wrongRights(text: String, message: String) {
        let found = problems(withServer("keys: [{ name: a, key-sha256: \(Self.digest), \(text) }]"))
        #expect(found.contains { $0.contains(message) }, "\(found)")
    }

    @Test("may stand in a file of their own, as a list or below keys, beside those of the configuration")
    func ownFile() throws {
        let folder = try Folder()
        let other = KeyDigest(of: "another-key-for-this".utf8).hexadecimal
        for text in ["- { name: b, key-sha256: \(other) }", "keys: [{ name: b, key-sha256: \(other) }]"] {
            let file = try folder.write("keys.yaml", text)
            let found = try configuration(
                withServer("keys: [{ name: a, key-sha256: \(Self.digest) }]\nkeys-file: '\(file)'\nforward-client-key: true"))
            #expect(found.keys.map(\.name) == ["a", "b"])
            #expect(found.otherFiles == [file])
            #expect(try configuration(withServer("keys-file: '\(file)'")).keys.map(\.name) == ["b"])
        }
        for (text, message) in [
            ("- { name: a, key-sha256: \(other) }", "there are two keys with the name"),
            ("- { name: b, key-sha256: \(Self.digest) }", "is the same key as"), ("[]", "is empty"), ("{}", "has no keys"),
            ("", "the file is empty"), ("keyz: []", "unknown key"),
            ("- { name: b, key: plain-text-key-0000 }", "does not belong in this file"), ("[", "did not find expected node"),
        ] {
            let file = try folder.write("keys.yaml", text)
            let found = problems(withServer("keys: [{ name: a, key-sha256: \(Self.digest) }]\nkeys-file: '\(file)'"))
            #expect(!found.isEmpty && found.allSatisfy { $0.contains(message) }, "\(text): \(found)")
        }
        #expect(problems(withServer("keys-file:")).first?.contains("has no value") == true)
        let pipe = folder.url.path + "/pipe"
        #expect(mkfifo(pipe, 0o600) == 0)
        #expect(problems(withServer("keys-file: '\(pipe)'")).first?.contains("it is a pipe, not a file") == true)
        #expect(problems(withServer("keys-file: /nowhere.yaml")).first?.contains("No such file") == true)
    }

    @Test(
        "that cannot be used are reported, and never shown",
        arguments: [
            ("{ name: a, key: lb-plain-0123456789abcdefghij }", "a key does not belong in this file"),
            ("{ name: a, key: \"${SHORT}\" }", "fewer than 16 characters"),
            ("{ name: a, key: \"${SPACED}\" }", "header fields cannot carry"), ("{ name: a, key-sha256: abc }", "not a SHA-256"),
            ("{ name: a }", "the key itself is missing"), ("{ key: \"${GOOD}\" }", "has no name"),
            ("{ name: \"\", key: \"${GOOD}\" }", "not a name"),
            ("{ name: a, key: \"${GOOD}\", key-sha256: abc }", "there is a key beside it"),
            ("{ name: a, key: \"${GOOD}\", models: [] }", "good for no model"),
            ("{ name: a, key: \"${GOOD}\", models: }", "has no value"),
            ("{ name: a, key: \"${GOOD}\", models: [''] }", "an empty pattern"),
            ("{ name: a, key: \"${GOOD}\", models: ['('] }", "models[0]"),
            ("{ name: a, key: \"${GOOD}\", expires: tomorrow }", "not a date"),
            ("{ name: a, key: \"${GOOD}\", expires: 2027-02-30 }", "not a date"),
            ("{ name: a, key: \"${GOOD}\", token: x }", "unknown key"), ("alice", "expected an object"),
            ("{ name: a, key: \"${GOOD}\" }, { name: a, key: \"${OTHER}\" }", "two keys with the name"),
            ("{ name: a, key: \"${GOOD}\" }, { name: b, key: \"${GOOD}\" }", "is the same key as \"a\""),
        ])
    func reported(keys: String, message: String) {
        let environment = [
            "SHORT": "shrt-secret", "SPACED": "a secret with spaces", "GOOD": "good-secret-0123456789",
            "OTHER": "other-secret-0123456789",
        ]
        let found = problems(withServer("keys: [\(keys)]\n"), environment: environment)
        #expect(found.contains { $0.contains(message) }, "\(found)")
        #expect(found.allSatisfy { !$0.contains("secret") && !$0.contains("lb-plain") }, "\(found)")
    }

    @Test("an empty line does not mean that nobody needs a key")
    func nothing() {
        #expect(problems(withServer("keys:\n")).contains { $0.contains("nobody would need a key") })
        #expect(problems(withServer("keys: []\n")).contains { $0.contains("is empty") })
    }

    @Test("a pattern that takes minutes is warned of")
    func slowPattern() throws {
        let found = try configuration(
            withServer("keys: [{ name: a, key-sha256: \(Self.digest), models: ['(a+)+b'] }]\n"))
        #expect(found.warnings.contains { $0.contains("keys[].models") })
    }

    @Test("without keys, there is nothing to be forwarded")
    func forwardWithoutKeys() {
        #expect(problems(withServer("forward-client-key: true\n")).contains { $0.contains("there are no keys") })
    }

    @Test("a new key is long and random, and its lines are a configuration")
    func new() throws {
        var random = Zeros()
        #expect(KeyCommand.New.key(using: &random) == "lb-" + String(repeating: "A", count: 43))
        var system = SystemRandomNumberGenerator()
        let keys = Set((0..<100).map { _ in KeyCommand.New.key(using: &system) })
        #expect(keys.count == 100 && keys.allSatisfy { $0.utf8.count == 46 })
        let command = try #require(
            try Program.parseAsRoot(
                ["key", "new", "alice \"A\"", "--models", "qwen3\\..*", "--expires", "2027-01-31", "--admin"])
                as? KeyCommand.New)
        let key = try #require(keys.first)
        let found = try configuration(withServer("keys:\n" + command.lines(digest: KeyDigest(of: key.utf8))))
        #expect(
            found.keys == [
                ClientKey(
                    name: "alice \"A\"", digest: KeyDigest(of: key.utf8), models: [ModelPattern("qwen3\\..*")], isAdmin: true,
                    expiresAt: 1_801_440_000_000)
            ])
    }

    @Test(
        "what would be refused in the configuration is refused at once",
        arguments: [["key", "new", ""], ["key", "new", "a", "--expires", "soon"], ["key", "new", "a", "--models", "("]])
    func refused(arguments: [String]) {
        #expect(throws: (any Error).self) {
            let command = try Program.parseAsRoot(arguments) as? KeyCommand.New
            try command?.validate()
        }
    }
}

/// Draws zeros.
private struct Zeros: RandomNumberGenerator {
    mutating func next() -> UInt64 { 0 }
}

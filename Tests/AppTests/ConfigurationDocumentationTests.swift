import Proxy
import Testing
import Wire

@testable import App

@Suite("Examples, schema and documentation") struct ConfigurationDocumentationTests {
    private let schema: ConfigurationSchema

    init() throws {
        schema = try ConfigurationSchema(text: ProjectFiles.text("docs/server-list.schema.json"))
    }

    @Test("the shipped examples are valid, for the balancer and for the schema", arguments: ProjectFiles.examples)
    func examples(name: String) throws {
        let text = try ProjectFiles.text("examples/\(name)")
        _ = try configuration(text)
        #expect(schema.errors(try Self.json(text)) == [])
    }

    @Test("the original's example file means what it meant")
    func original() throws {
        let found = try configuration(try ProjectFiles.text("examples/server-list.json"))
        #expect(found.servers.map(\.baseURL.description) == ["http://192.168.1.20:8081", "http://192.168.1.21:8081"])
        #expect(
            found.servers.map { $0.llmhealthURL?.description } == [
                "http://192.168.1.20:18000/llmhealth", "http://192.168.1.21:18000/llmhealth",
            ])
        #expect(found.servers.map(\.requestMax) == [1, nil])
        #expect(
            found.models == [
                .init(pattern: "gpt-oss:20b-64k.*", servers: ["PC1", "PC2"]),
                .init(pattern: "gpt-oss:20b-128k.*", servers: ["PC1"]),
            ])
        #expect(found.fallback == .server("PC2"))
    }

    @Test("the YAML example uses every key, and those with a default have it")
    func exampleHasEveryKey() throws {
        let text = try ProjectFiles.text("examples/server-list.yaml")
        for name in ConfigurationKeys.all.flatMap(\.names) where name != "$schema" && name != "fallback-server" {
            #expect(text.contains("\(name):"), "examples/server-list.yaml lacks \(name)")
        }
        var found = try configuration(text)
        let defaults = Configuration(servers: found.servers)
        found.models = nil
        found.fallback = .firstServer
        found.trustedProxies = nil
        #expect(Array(found.modelRules.prefix(3)) == ModelRule.builtIn)
        found.modelRules = defaults.modelRules
        #expect(found == defaults)
    }

    @Test("the gpt-oss example ends with the built-in rules")
    func gptOSSExample() throws {
        let rules = try configuration(try ProjectFiles.text("examples/gpt-oss-rules.yaml")).modelRules
        #expect(rules.count == 5)
        #expect(Array(rules.suffix(3)) == ModelRule.builtIn)
        #expect(rules.first?.systemPrefixes == ["You are Cline", "You are Roo"])
        #expect(rules.first?.set.map(\.name) == ["reasoning_format", "grammar"])
        #expect(rules.first?.set.last?.value.stringValue?.hasPrefix("root ::= ( analysis start )? final .+\n") == true)
        #expect(rules.dropFirst().first?.stripSuffix == true)
    }

    @Test("the schema has exactly the keys that the balancer accepts", arguments: ConfigurationKeys.all.map(\.place))
    func schemaKeys(place: String) throws {
        let keys = try #require(ConfigurationKeys.all.first { $0.place == place })
        let properties = try #require(object(at: place)["properties"]?.objectValue)
        #expect(Set(properties.map(\.name)) == Set(keys.names))
        #expect(object(at: place)["additionalProperties"] == false)
    }

    @Test("the documentation has every key", arguments: ConfigurationKeys.all.map(\.place))
    func documentedKeys(place: String) throws {
        let text = try ProjectFiles.text("docs/configuration.md")
        let keys = try #require(ConfigurationKeys.all.first { $0.place == place })
        for name in keys.names {
            let path = place.isEmpty ? name : "\(place).\(name)"
            // A section has a row for each of its keys, and none of its own.
            if ConfigurationKeys.all.contains(where: { $0.place == path }) { continue }
            #expect(text.contains("| `\(path)` |"), "docs/configuration.md lacks \(path)")
        }
    }

    @Test(
        "the schema refuses what the balancer refuses",
        arguments: [
            "servers: {}", "servers: { a: {} }", withServer("limitz: 1"), withServer("listen: { port: 70000 }"),
            withServer("queue: { max-wait: 5x }"), withServer("limits: { body: 5 KB }"), withServer("model-rules: [{}]"),
            withServer("privacy: hide"), withServer("routing: { rule: best }"),
            withServer("models: { m: { servers: [a], priority: high } }"),
            withServer("queue: { max-predicted-wait: { high: 5s } }"), withServer("models: { m: { rule: sticky } }"),
            withServer("model-rules: [{ set: { model: x } }]"), withServer("models: { a: [] }"), withServer("fallback_server: 1"),
            "servers: { a: { url: 'http://h', kind: x } }", "servers: { a: { url: 'http://h', headers: { 'a b': c } } }",
        ])
    func schemaRefuses(text: String) throws {
        #expect(!problems(text).isEmpty)
        #expect(!schema.errors(try Self.json(text)).isEmpty)
    }

    @Test(
        "the schema accepts the forms that the balancer accepts",
        arguments: [
            withServer("queue: { max-wait: 1.5 }"), withServer("limits: { body: 1.5GiB, header: 2048 }"),
            withServer("access-log: false"), withServer("privacy: off"), withServer("privacy: hide-clients"),
            withServer("fallback_server: null"), withServer("keep-alive-comments: off"), withServer("listen: { port: \"${P}\" }"),
            withServer("models: { m: { servers: [a], rule: sticky }, n: { servers: [a] } }"),
            withServer("models: { m: { servers: [a], priority: bulk } }"),
            withServer("queue: { max-predicted-wait: { interactive: 5s, normal: 60, bulk: 1h } }"),
            withServer("routing: { rule: sticky }"),
            withServer("timeouts: { first-byte: false }"), "servers: { a: { addr: 'http://h', model-port: 1 } }",
        ])
    func schemaAccepts(text: String) throws {
        #expect(problems(text, environment: ["P": "1"]) == [])
        #expect(schema.errors(try Self.json(text)) == [])
    }

    /// The schema of the object at a place such as `model-rules[].match`.
    private func object(at place: String) -> JSON {
        place.split(separator: ".").reduce(schema.root) { parent, step in
            if step == "NAME" { return schema.resolved(parent["additionalProperties"] ?? .null) }
            // Either a list of servers, or an object.
            if step == "PATTERN" { return parent["additionalProperties"]?["anyOf"]?.arrayValue?.last ?? .null }
            var property = schema.resolved(parent["properties"]?[String(step).replacing("[]", with: "")] ?? .null)
            // Either an address, or a list of addresses.
            if let either = property["anyOf"]?.arrayValue?.first { property = schema.resolved(either) }
            return step.hasSuffix("[]") ? schema.resolved(property["items"] ?? .null) : property
        }
    }

    /// A configuration text as JSON, for the schema.
    private static func json(_ text: String) throws -> JSON {
        try ConfigurationFile.parse(text, file: "test").root.json
    }
}

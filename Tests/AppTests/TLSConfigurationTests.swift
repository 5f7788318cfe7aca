import Control
import Foundation
import Proxy
import Testing

@testable import App

/// A folder for files of one test.
final class Folder {
    let url = FileManager.default.temporaryDirectory.appending(path: "tls-\(UUID().uuidString)")

    init() throws { try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) }

    deinit { try? FileManager.default.removeItem(at: url) }

    func write(_ name: String, _ text: String) throws -> String {
        let file = url.appending(path: name)
        try text.write(to: file, atomically: true, encoding: .utf8)
        return file.path
    }
}

/// The path of `Tests/Certificates/NAME.pem`.
func certificate(_ name: String) -> String {
    ProjectFiles.tests.deletingLastPathComponent().appending(path: "Certificates/\(name).pem").path
}

@Suite("TLS settings of servers") struct TLSConfigurationTests {
    private func server(_ tls: String, url: String = "https://h") -> String {
        "servers: { a: { url: '\(url)', tls: { \(tls) } } }"
    }

    private func assembly(
        _ text: String, environment: [String: String] = [:], known: inout Assembly.Known
    ) throws -> [Transport] {
        let configuration = try configuration(text, environment: environment)
        return try Assembly(configuration, file: nil, loadedAt: 0, known: &known).settings.endpoints.map(\.address.transport)
    }

    @Test("every key is read, and reaches the proxy and the probes")
    func everything() throws {
        let text = server(
            """
            ca: '\(certificate("authority"))', server-name: llm.internal, certificate: '\(certificate("client"))',
            private-key: '\(certificate("client-key"))', verify: true
            """)
        let found = try #require(try configuration(text).servers.first?.tls)
        #expect(found.authorities?.path == certificate("authority"))
        #expect(found.serverName == "llm.internal")
        #expect(found.identity?.certificates.path == certificate("client"))
        #expect(found.identity?.privateKey.exposed.hasPrefix("-----BEGIN PRIVATE KEY-----") == true)
        #expect(found.verifies)
        let assembly = try Assembly(try configuration(text), file: nil, loadedAt: 0)
        let transport = try #require(assembly.settings.endpoints.first?.address.transport)
        guard case .tls(_, "llm.internal"?) = transport else {
            Issue.record("not TLS to llm.internal: \(transport)")
            return
        }
        #expect(assembly.monitored.first?.engine.address.transport == transport)
    }

    @Test("nothing of a private key is shown")
    func redacted() throws {
        let text = server("certificate: '\(certificate("client"))', private-key: '\(certificate("client-key"))'")
        let found = try configuration(text)
        let key = try #require(found.servers.first?.tls.identity?.privateKey.exposed.split(separator: "\n").dropFirst().first)
        var dumped = ""
        dump(found, to: &dumped)
        for shown in ["\(found)", String(reflecting: found), dumped, found.summary] { #expect(!shown.contains(key)) }
        #expect(found.summary.contains("shows \(certificate("client"))"))
    }

    @Test("what is wrong with a file is reported at its place, with the remedy")
    func badFiles() throws {
        let folder = try Folder()
        let empty = try folder.write("empty.pem", "")
        let words = try folder.write("words.pem", "-----BEGIN CERTIFICATE-----\nnot base64 at all\n-----END CERTIFICATE-----\n")
        let large = try folder.write("large.pem", String(repeating: "x", count: (1 << 20) + 1))
        func report(_ tls: String) -> String { problems(server(tls)).joined(separator: "\n") }
        #expect(report("ca: nowhere.pem") == "1:46: error: servers.a.tls.ca: nowhere.pem: there is no such file")
        #expect(report("ca: '\(folder.url.path)'").contains("it is not a plain file"))
        #expect(report("ca: '\(empty)'").contains("there is no certificate in it; a PEM file has lines such as"))
        #expect(report("ca: '\(words)'").contains("there is no certificate in it"))
        #expect(report("ca: '\(large)'").contains("larger than 1 MB"))
        #expect(report("ca: ''").contains("not a file's path"))
        let (mine, mineKey) = (certificate("client"), certificate("client-key"))
        #expect(report("certificate: '\(mine)'").contains("servers.a.tls.certificate: given without private-key"))
        #expect(report("private-key: '\(mineKey)'").contains("given without certificate"))
        #expect(report("certificate: '\(mine)', private-key: '\(mine)'").contains("has no private key that can be read"))
        #expect(
            report("certificate: '\(mine)', private-key: '\(certificate("engine-key"))'")
                .contains("engine-key.pem is not the key of \(mine)"))
    }

    @Test(
        "settings that contradict each other, or the address, are problems",
        arguments: [
            ("http://h", "verify: true", "the address is http://, which knows no TLS"),
            ("https://h", "ca: x, verify: false", "given together with verify: false"),
            ("https://h", "server-name: 10.0.0.1", "not a host name"), ("https://h", "server-name: 'a:1'", "not a host name"),
            ("https://h", "verify: maybe", "expected true or false"), ("https://h", "cert: x", "unknown key"),
        ])
    func contradictions(url: String, tls: String, message: String) {
        #expect(problems(server(tls, url: url)).contains { $0.contains(message) })
    }

    @Test("SSL_CERT_FILE stands for the system's authorities, and ca for both")
    func environment() throws {
        let environment = ["SSL_CERT_FILE": certificate("authority")]
        let text =
            "servers: { a: { url: 'https://h' }, b: { url: 'http://h' }, c: { url: 'https://h', tls: { ca: '\(certificate("other-authority"))' } } }"
        let found = try configuration(text, environment: environment).servers.map(\.tls.authorities?.path)
        #expect(found == [certificate("authority"), nil, certificate("other-authority")])
        let urls = try Configuration(urls: ["https://h", "http://h"], environment: environment)
        #expect(urls.servers.map(\.tls.authorities?.path) == [certificate("authority"), nil])
        let missing = ["SSL_CERT_FILE": "/nowhere.pem"]
        #expect(
            problems("servers: { a: { url: 'https://h' } }", environment: missing).first?
                .contains("the environment variable SSL_CERT_FILE names /nowhere.pem: there is no such file") == true)
        #expect(problems("servers: { a: { url: 'http://h' } }", environment: missing) == [], "nobody needs it")
        #expect(throws: Problems.self) { try Configuration(urls: ["https://h"], environment: missing) }
    }

    @Test("a reload leaves TLS as it is where nothing has changed, and takes a changed file over")
    func reload() throws {
        let folder = try Folder()
        let ca = try folder.write("ca.pem", String(contentsOfFile: certificate("authority"), encoding: .utf8))
        let text =
            "servers: { a: { url: 'https://h', tls: { ca: '\(ca)' } }, b: { url: 'http://h' }, c: { url: 'https://i', tls: { ca: '\(ca)', server-name: x.test } } }"
        var known = Assembly.Known()
        let first = try assembly(text, known: &known)
        #expect(first[1] == .plain)
        #expect(try assembly(text, known: &known) == first)
        _ = try folder.write("ca.pem", String(contentsOfFile: certificate("other-authority"), encoding: .utf8))
        let second = try assembly(text, known: &known)
        #expect(second[0] != first[0] && second[1] == first[1] && second[2] != first[2])
    }
}

extension Assembly {
    /// For a configuration that comes after none.
    fileprivate init(_ configuration: Configuration, file: String?, loadedAt: Int) throws {
        var known = Known()
        try self.init(configuration, file: file, loadedAt: loadedAt, known: &known)
    }
}

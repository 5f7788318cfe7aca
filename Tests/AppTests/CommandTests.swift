import ArgumentParser
import Foundation
import NIOCore
import Proxy
import Testing

@testable import App

@Suite("The command line") struct CommandTests {
    /// What the program says to a command line that it refuses.
    private func refusal(_ arguments: String...) -> String? {
        do {
            _ = try Program.parseAsRoot(arguments)
            return nil
        } catch {
            #expect(Program.exitCode(for: error).rawValue == 64, "EX_USAGE")
            return Program.fullMessage(for: error)
        }
    }

    @Test("serve is the default command, with URLs or without")
    func defaultCommand() throws {
        for arguments in [["http://a:1", "b:2"], ["serve", "http://a:1", "b:2"]] {
            let serve = try #require(try Program.parseAsRoot(arguments) as? Serve)
            #expect(serve.urls == ["http://a:1", "b:2"])
            #expect(serve.config == nil)
        }
        let serve = try #require(
            try Program.parseAsRoot(
                ["--config", "x.yaml", "--host", "::1", "--port", "0", "--threads", "2", "--log-level", "debug"]) as? Serve)
        #expect(serve.config == "x.yaml")
        #expect(serve.host == "::1")
        #expect(serve.port == 0)
        #expect(serve.threads == 2)
        #expect(serve.logLevel == "debug")
        let plain = try #require(try Program.parseAsRoot([]) as? Serve)
        #expect((plain.urls, plain.port, plain.logLevel) == ([], nil, "notice"))
    }

    @Test("the other commands are known")
    func commands() throws {
        let demo = try #require(try Program.parseAsRoot(["demo", "--port", "0", "--quiet"]) as? Demo)
        #expect((demo.port, demo.quiet) == (0, true))
        #expect(try #require(try Program.parseAsRoot(["check", "--config", "x"]) as? Check).config == "x")
        #expect(try #require(try Program.parseAsRoot(["check", "--online"]) as? Check).online)
        let status = try #require(try Program.parseAsRoot(["status", "--watch"]) as? Status)
        #expect((status.url, status.watch) == ("http://127.0.0.1:18000", true))
    }

    @Test("status speaks TLS where the address says so, and fails where the authorities cannot be read")
    func statusOverTLS() throws {
        func transport(_ url: String, _ environment: [String: String] = [:]) throws -> Transport {
            try RunningBalancer.transport(to: BaseURL.parse(url, assumingHTTP: true).url, environment)
        }
        for url in ["balancer.example:1", "http://balancer.example:1"] {
            if case .tls = try transport(url) { Issue.record("\(url) is asked over TLS") }
        }
        if case .plain = try transport("https://balancer.example") { Issue.record("https is asked in plain text") }
        #expect(throws: ExitCode(1)) { try transport("https://balancer.example", ["SSL_CERT_FILE": "/nowhere.pem"]) }
    }

    @Test("what makes no sense is refused with the value and the remedy")
    func refused() {
        #expect(refusal("--config", "x.yaml", "http://a:1")?.contains("either --config or URLs") == true)
        let level = refusal("--log-level", "loud")
        #expect(level?.contains("loud") == true)
        #expect(level?.contains("trace, debug, info, notice, warning, error, critical") == true)
        for port in ["-1", "65536", "99999999999999999999", "http"] { #expect(refusal("--port=\(port)")?.contains(port) == true) }
        for threads in ["0", "-5", "257"] { #expect(refusal("--threads=\(threads)")?.contains(threads) == true) }
        #expect(refusal("--verbose")?.contains("--verbose") == true)
        #expect(refusal("check", "http://a:1") != nil)
    }

    @Test("every command has help with examples")
    func help() throws {
        let commands = Program.configuration.subcommands
        #expect(commands.count >= 4)
        for command in commands {
            let text = Program.helpMessage(for: command)
            #expect(text.contains("Examples:\n  llama-balancer \(command._commandName)"), "\(text)")
        }
        let help = Program.helpMessage(columns: 80)
        #expect(help.contains("Examples:\n  llama-balancer demo"))
        #expect(help.contains("try it: needs nothing else\n  llama-balancer http"), "no example is broken: \(help)")
    }

    @Test(
        "an address that cannot be had is explained with a remedy",
        arguments: [
            (
                EADDRINUSE,
                "Port 18000 on 10.0.0.9 is in use by another program. Stop that one, or choose another with --port or listen.port."
            ),
            (
                EACCES,
                "Port 18000 on 10.0.0.9 may not be used by this user: ports below 1024 need more rights. Choose another with --port or listen.port."
            ),
            (EADDRNOTAVAIL, "This machine has no address 10.0.0.9. Choose another with --host, for example 0.0.0.0."),
        ])
    func explains(code: CInt, message: String) {
        #expect(Serve.explain(failure(.tcp(host: "10.0.0.9", port: 18000), code)) == message)
    }

    @Test(
        "so is a socket in the file system",
        arguments: [
            (EADDRINUSE, "exists: another program listens there, or it is no socket"), (EACCES, "may not be made by this user"),
            (ENOENT, "its folder does not exist"), (EPERM, "only root may change the owner"), (EMFILE, "Cannot listen on /s"),
        ])
    func explainsSockets(code: CInt, message: String) {
        #expect(Serve.explain(failure(.unix(.init(path: "/s")), code)).contains(message))
    }

    @Test("any other problem names address, port and cause")
    func explainsOthers() {
        #expect(
            Serve.explain(failure(.everywhere(port: 18000), EMFILE)).hasPrefix("Cannot listen on all addresses, port 18000: "))
        #expect(
            Serve.explain(AccessLogProblem(description: "access-log: cannot open x: no such folder"))
                == "access-log: cannot open x: no such folder")
    }

    private func failure(_ address: ListenAddress, _ code: CInt) -> ListenFailure {
        ListenFailure(address: address, reason: IOError(errnoCode: code, reason: "bind"))
    }
}

import Control
import FakeBackend
import Foundation
import Logging
import NIOCore
import NIOPosix
import Proxy
import Testing
import Wire

@testable import App

@Suite("The running balancer", .timeLimit(.minutes(2))) struct BalancerTests {
    /// Says nothing.
    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    private static let group = MultiThreadedEventLoopGroup.singleton

    /// A balancer whose configuration is a file of its own, in front of a fake engine.
    private struct Running: Sendable {
        let engine: FakeLlamaServer
        let balancer: Balancer
        let reload: Reload
        let file: TemporaryFile

        private var target: ProbeTarget { ProbeTarget(host: "127.0.0.1", port: balancer.port) }

        func get(_ path: String) async throws -> ProbeClient.Response { try await send(path, json: nil) }

        func send(_ path: String, json: JSON?) async throws -> ProbeClient.Response {
            try await ProbeClient().send(
                path, json: json?.bytes, to: target, timeout: .seconds(60), on: BalancerTests.group.next()
            ).get()
        }

        func snapshot() async throws -> JSON { try JSON(parsing: try await get("/llmhealth-snapshot").body) }

        func snapshot(_ what: String, where isWanted: (JSON) -> Bool) async throws -> JSON {
            try await wait(for: what, { try await snapshot() }, where: isWanted)
        }

        /// Serves as it should.
        func chats(_ comment: Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation) async throws {
            let answer = try await chat(stream: false)
            #expect(answer.contains("chat.completion"), comment, sourceLocation: sourceLocation)
        }

        func chat(stream: Bool, maxTokens: Int = 4) async throws -> String {
            let body: JSON = [
                "model": "m", "stream": .bool(stream), "max_tokens": JSON(maxTokens),
                "messages": [["role": "user", "content": "hello"]],
            ]
            let response = try await send("/v1/chat/completions", json: body)
            #expect(response.status == 200)
            return String(decoding: response.body, as: UTF8.self)
        }
    }

    private static func text(_ engine: FakeLlamaServer, _ rest: String = "", name: String = "A") -> String {
        """
        listen: { host: 127.0.0.1, port: 0 }
        health: { interval: 20ms, timeout: 20s }
        servers: { \(name): { url: "\(engine.baseURL)" \(rest) } }
        """
    }

    private func run(_ behaviour: Behaviour = Behaviour { $0.models = ["m"] }, _ body: (Running) async throws -> Void)
        async throws
    {
        let engine = try await FakeLlamaServer.start(behaviour, group: Self.group)
        let file = try TemporaryFile(Self.text(engine))
        let settings = try ConfigurationLoader.load(file: file.path, environment: [:]).get()
        let balancer = try await Balancer.start(settings, file: file.path, group: Self.group, logger: Self.logger)
        let reload = Reload(
            file: file.path, configuration: settings, environment: [:], balancer: balancer, logger: Self.logger
        ) { _ in }
        balancer.onReload { await reload.reload("asked for") }
        let result: Result<Void, any Error>
        do {
            try await body(Running(engine: engine, balancer: balancer, reload: reload, file: file))
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await balancer.shutDown()
        try await engine.stop()
        file.remove()
        try result.get()
    }

    @Test("a configured balancer serves, and knows its engine")
    func serves() async throws {
        try await run { running in
            try await running.chats()
            let snapshot = try await running.snapshot("the engine is known") { $0["backends"]?[0]?["models"] == ["m"] }
            #expect(snapshot["backends"]?[0]?["name"] == "A")
            #expect(snapshot["backends"]?[0]?["kind"] == "llama-server")
            #expect(snapshot["config"]?["file"]?.stringValue == running.file.path)
        }
    }

    @Test("a reload with a running stream leaves the stream whole, and the server its identity")
    func reloadWhileStreaming() async throws {
        try await run(
            Behaviour {
                $0.models = ["m"]; $0.decodeTokensPerSecond = 40
            }
        ) { running in
            async let stream = running.chat(stream: true, maxTokens: 300)
            try await running.engine.observations(within: .seconds(20)) { $0.concurrency == 1 }
            try running.file.write(Self.text(running.engine, ", request-max: 3"))
            #expect(await running.reload.reload("test") == nil)
            #expect(running.engine.observations.concurrency == 1, "the stream was still running when the file was read")
            let backend = try await running.snapshot()["backends"]
            #expect(backend?.arrayValue?.count == 1, "the same server, not an old one and a new one")
            #expect(backend?[0]?["request_max"] == 3)
            #expect(backend?[0]?["total_inflight"] == 1)
            let text = try await stream
            #expect(text.hasSuffix("data: [DONE]\n\n"))
            #expect(!text.contains("error"))
            try await running.engine.observations(within: .seconds(20)) { $0.completed == 1 }
        }
    }

    @Test("a stream goes on when its server is taken out of the file, and new work goes elsewhere")
    func removeWhileStreaming() async throws {
        try await run(
            Behaviour {
                $0.models = ["m"]; $0.decodeTokensPerSecond = 40
            }
        ) { running in
            let other = try await FakeLlamaServer.start(Behaviour { $0.models = ["m"] }, group: Self.group)
            async let stream = running.chat(stream: true, maxTokens: 300)
            try await running.engine.observations(within: .seconds(20)) { $0.concurrency == 1 }
            try running.file.write(Self.text(other, name: "B"))
            #expect(await running.reload.reload("test") == nil)
            try await running.chats()
            #expect(other.observations.received == 1)
            #expect(try await stream.hasSuffix("data: [DONE]\n\n"))
            let rest = try await running.snapshot("only B is left") { $0["backends"]?.arrayValue?.count == 1 }
            #expect(rest["backends"]?[0]?["name"] == "B")
            try await other.stop()
        }
    }

    @Test("a bad file changes nothing, is reported everywhere, and forgotten when it is good again")
    func badFile() async throws {
        try await run { running in
            try running.file.write("servers: { A: { url: 'http://127.0.0.1:1', reqest-max: 3 } }")
            let problems = try #require(await running.reload.reload("test"))
            #expect(problems.contains("\(running.file.path):1:") && problems.contains("request-max"), "\(problems)")
            try await running.chats("the old configuration is in force")
            #expect(try await running.snapshot()["config"]?["error"]?.stringValue == problems)
            let answer = try await running.send("/admin/reload", json: [:])
            #expect(answer.status == 422)
            #expect(try JSON(parsing: answer.body)["error"]?["message"]?.stringValue == problems)

            try running.file.write(Self.text(running.engine, ", request-max: 2"))
            #expect(try await running.send("/admin/reload", json: [:]).status == 200)
            let snapshot = try await running.snapshot()
            #expect(snapshot["config"]?["error"] == .null)
            #expect(snapshot["backends"]?[0]?["request_max"] == 2)
        }
    }

    @Test("a file that vanishes changes nothing and is named")
    func vanishedFile() async throws {
        try await run { running in
            running.file.remove()
            let problem = await running.reload.reload("test")
            #expect(problem?.contains(running.file.path) == true)
            try await running.chats()
        }
    }

    @Test("many readings at once leave one configuration in force everywhere")
    func manyReloads() async throws {
        try await run { running in
            await withTaskGroup(of: String?.self) { group in
                for _ in 0..<20 { group.addTask { await running.reload.reload("test") } }
                for await problem in group { #expect(problem == nil) }
            }
            let backends = try await running.snapshot()["backends"]
            #expect(backends?.arrayValue?.count == 1)
            try await running.chats()
        }
    }

    @Test("the file is watched: written anew or replaced by another, it is read again")
    func watch() async throws {
        try await run { running in
            let watching = Task { await running.reload.watch() }
            defer { watching.cancel() }
            try running.file.write(Self.text(running.engine, ", request-max: 11"))
            _ = try await running.snapshot("the new limit") { $0["backends"]?[0]?["request_max"] == 11 }
            try running.file.replace(Self.text(running.engine, ", request-max: 12"))
            _ = try await running.snapshot("the limit of the file in its place") { $0["backends"]?[0]?["request_max"] == 12 }
            try running.file.write("servers: {}")
            _ = try await running.snapshot("the problem") { $0["config"]?["error"]?.stringValue != nil }
            #expect(try await running.snapshot()["backends"]?[0]?["request_max"] == 12)
        }
    }

    @Test("a port that is taken is an error with an explanation")
    func portTaken() async throws {
        try await run { running in
            var settings = try ConfigurationLoader.load(file: running.file.path, environment: [:]).get()
            settings.listen = .init(.tcp(host: "127.0.0.1", port: running.balancer.port))
            do {
                _ = try await Balancer.start(settings, file: nil, group: Self.group, logger: Self.logger)
                Issue.record("two balancers on one port")
            } catch {
                #expect(Serve.explain(error).contains("in use by another program"))
            }
        }
    }

    @Test("an access log that cannot be opened is an error that names it")
    func accessLog() async throws {
        try await run { running in
            var settings = try ConfigurationLoader.load(file: running.file.path, environment: [:]).get()
            settings.accessLog = .file(running.file.path + "/log")
            do {
                _ = try await Balancer.start(settings, file: nil, group: Self.group, logger: Self.logger)
                Issue.record("a log inside a file was opened")
            } catch {
                #expect(
                    Serve.explain(error).hasPrefix("access-log: cannot open \(running.file.path)/log"))
            }
        }
    }

    @Test("too few descriptors are told at the start, with the remedy; enough are not worth a word", arguments: [100, 1 << 20])
    func descriptors(openFiles: Int) async throws {
        let told = LogCollector()
        var settings = try configuration("servers: { A: { url: 'http://127.0.0.1:1' } }")
        settings.listen = .init(.tcp(host: "127.0.0.1", port: 0))
        let balancer = try await Balancer.start(
            settings, file: nil, group: Self.group, openFiles: openFiles, logger: told.logger)
        await balancer.shutDown()
        let warning = told.lines.first { $0.contains("limits.connections: 8192 clients need") }
        if openFiles == 100 {
            #expect(warning?.contains("allows 100") == true && warning?.contains("LimitNOFILE") == true, "\(told.lines)")
        } else {
            #expect(warning == nil)
        }
    }

    @Test("a server that does not tell its models has those that the configuration names")
    func modelsOfLockedServer() async throws {
        let locked = try await FakeLlamaServer.start(Behaviour { $0.apiKey = "k3y" }, group: Self.group)
        let settings = try configuration(
            """
            listen: { host: 127.0.0.1, port: 0 }
            health: { interval: 20ms, timeout: 20s }
            servers: { A: { url: "http://127.0.0.1:\(locked.port)" }, B: { url: "http://127.0.0.1:1" } }
            models: { 'big-1.5': [A], 'qwen2\\.5': [A, B], 'small-.*': [A], other: [B] }
            aliases: { mine: big-1.5 }
            """)
        let balancer = try await Balancer.start(settings, file: nil, group: Self.group, logger: Self.logger)
        let target = ProbeTarget(host: "127.0.0.1", port: balancer.port)
        let names = { () -> [String] in
            let response = try await ProbeClient().get(
                "/v1/models", from: target, timeout: .seconds(60), on: Self.group.next()
            ).get()
            return try JSON(parsing: response.body)["data"]?.arrayValue?.compactMap { $0["id"]?.stringValue } ?? []
        }
        _ = try await wait(for: "the names", names, where: { $0 == ["big-1.5", "mine", "qwen2.5"] })
        await balancer.shutDown()
        try await locked.stop()
    }

    @Test("changes that only a restart can make are known")
    func restartNeeded() async throws {
        var settings = try configuration("listen: { host: 127.0.0.1, port: 0 }\nservers: { A: { url: 'http://127.0.0.1:1' } }")
        let balancer = try await Balancer.start(settings, file: nil, group: Self.group, logger: Self.logger)
        #expect(balancer.keysThatNeedRestart(settings).isEmpty)
        settings.listen.names = ["x"]
        settings.queue.maxWaiting = 1
        #expect(balancer.keysThatNeedRestart(settings).isEmpty)
        settings.listen = .init()
        settings.limits.connections = 1
        settings.accessLog = .standardOutput
        #expect(
            balancer.keysThatNeedRestart(settings) == ["listen", "limits.connections", "access-log"])
        await balancer.shutDown()
    }

    @Test("a server that goes down and comes back is told in the log")
    func serverNews() async throws {
        let told = LogCollector()
        let engine = try await FakeLlamaServer.start(Behaviour(), group: Self.group)
        let settings = try configuration(Self.text(engine))
        let balancer = try await Balancer.start(settings, file: nil, group: Self.group, logger: told.logger)
        _ = try await wait(for: "the line", { told.lines }, where: { $0.contains { $0.contains("server A is up") } })
        try await engine.stop()
        let lines = try await wait(for: "the line", { told.lines }, where: { $0.contains { $0.contains("server A is down: ") } })
        #expect(lines.count == 2, "\(lines)")
        await balancer.shutDown()
    }

    @Test("the access log has one line for each request, without prompts or keys")
    func accessLogLines() async throws {
        let engine = try await FakeLlamaServer.start(
            Behaviour {
                $0.models = ["m"]; $0.apiKey = "k3y"
            }, group: Self.group)
        let log = try TemporaryFile("")
        var settings = try configuration(Self.text(engine, ", api-key: k3y"))
        settings.accessLog = .file(log.path)
        let balancer = try await Balancer.start(settings, file: nil, group: Self.group, logger: Self.logger)
        let body: JSON = ["model": "m", "max_tokens": 2, "messages": [["role": "user", "content": "PROMPT-TEXT"]]]
        for _ in 0..<3 {
            let response = try await ProbeClient().send(
                "/v1/chat/completions", json: body.bytes, to: ProbeTarget(host: "127.0.0.1", port: balancer.port),
                timeout: .seconds(60), on: Self.group.next()
            ).get()
            #expect(response.status == 200)
        }
        await balancer.shutDown()
        try await engine.stop()
        let text = try log.text()
        let lines = try text.split(separator: "\n").map { try JSON(parsing: Array($0.utf8)) }
        #expect(lines.count == 3)
        #expect(lines.allSatisfy { $0["status"] == 200 && $0["model"] == "m" && $0["server"] == "A" })
        #expect(!text.contains("k3y") && !text.contains("PROMPT-TEXT"))
        log.remove()
    }
}

/// A file in a folder of its own.
private struct TemporaryFile: Sendable {
    private let folder: String
    var path: String { folder + "/server-list.yaml" }

    init(_ text: String) throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("balancer-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try write(text)
    }

    func write(_ text: String) throws { try Data(text.utf8).write(to: URL(filePath: path)) }

    /// As editors do: another file, then moved to this one's place.
    func replace(_ text: String) throws { try Data(text.utf8).write(to: URL(filePath: path), options: .atomic) }

    func text() throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

    func remove() { try? FileManager.default.removeItem(atPath: folder) }
}

private struct TimedOut: Error, CustomStringConvertible {
    let description: String
}

/// Looks at a value until it is as wanted. Throws when that takes too long.
private func wait<Value>(
    for what: String, _ look: () async throws -> Value, where isWanted: (Value) -> Bool
) async throws -> Value {
    let deadline = ContinuousClock.now + .seconds(20)
    while true {
        let value = try await look()
        if isWanted(value) { return value }
        guard ContinuousClock.now < deadline else { throw TimedOut(description: "\(what): not so within 20 s; now \(value)") }
        try await Task.sleep(for: .milliseconds(5))
    }
}

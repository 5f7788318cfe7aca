import ArgumentParser
import Control
import FakeBackend
import Foundation
import Logging
import NIOCore
import NIOPosix
import Proxy
import Wire

/// `llama-balancer demo`.
struct Demo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Three fake engines behind the balancer, to look around; nothing else is needed.",
        discussion: """
            Examples:
              llama-balancer demo
              llama-balancer demo --port 0 --quiet
            """)

    @Option(help: "The port to listen on; 0 for any free one.")
    var port = Configuration.Listener.defaultPort

    @Flag(help: "No traffic of its own.")
    var quiet = false

    init() {}

    /// A gaming PC, an old one, and a laptop.
    private static let engines: [(name: String, prefill: Double, decode: Double, slots: Int)] = [
        ("gaming-pc", 4000, 60, 2), ("office-pc", 1500, 25, 2), ("laptop", 600, 10, 1),
    ]

    func run() async throws {
        let logger = Logger.program(level: .warning)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: min(System.coreCount, 4))
        var servers: [ServerSettings] = []
        for engine in Self.engines {
            let behaviour = Behaviour {
                $0.name = engine.name
                $0.models = ["demo-model"]
                $0.prefillTokensPerSecond = engine.prefill
                $0.decodeTokensPerSecond = engine.decode
                $0.slots = engine.slots
                $0.answerTokens = 60
            }
            let fake = try await FakeLlamaServer.start(behaviour, group: group)
            servers.append(
                ServerSettings(
                    name: engine.name, baseURL: BaseURL(scheme: .http, host: fake.host, port: fake.port)))
        }
        var settings = Configuration(servers: servers)
        settings.listen = .init(.tcp(host: "127.0.0.1", port: port))
        settings.shutdownGrace = .seconds(2)
        let balancer: Balancer
        do {
            balancer = try await Balancer.start(settings, file: nil, group: group, logger: logger)
        } catch {
            throw CommandFailure.failed(Serve.explain(error))
        }
        let signals = await Serve.trapSignals()
        let base = "http://127.0.0.1:\(balancer.port)"
        announce(
            """
            llama-balancer \(Program.version) demo: three fake engines behind \(base)
            \(servers.map { "  \($0.name): \($0.baseURL)" }.joined(separator: "\n"))

            Look:    \(base)/llmhealth-monitor
            Models:  curl \(base)/v1/models
            Chat:    curl -N \(base)/v1/chat/completions -d '{"model":"demo-model","stream":true,"messages":[{"role":"user","content":"Hello!"}]}'
            Stop:    Ctrl-C
            """, logger: logger)
        if !quiet { DemoTraffic.start(port: balancer.port, group: group) }
        await Serve.untilStopped(balancer, signals, reload: nil, logger: logger)
    }
}

/// A few people talking to the demo, so that there is something to see.
private enum DemoTraffic {
    static func start(port: Int, group: any EventLoopGroup) {
        for person in ["anna", "ben", "chiyo", "dmitri"] {
            let loop = group.next()
            Task {
                let target = ProbeTarget(
                    host: "127.0.0.1", port: port, headers: [.init(name: "X-Session-Id", value: person)])
                var conversation: [JSON] = []
                while !Task.isCancelled {
                    if conversation.count > 12 { conversation.removeAll() }
                    let text = String(repeating: "Tell me more about llamas, please. ", count: Int.random(in: 5...60))
                    conversation.append(["role": "user", "content": .string(text)])
                    let body: JSON = [
                        "model": "demo-model", "messages": .array(conversation), "max_tokens": JSON(Int.random(in: 20...120)),
                    ]
                    let response = try? await ProbeClient().send(
                        "/v1/chat/completions", json: body.bytes, to: target, timeout: .seconds(60), on: loop
                    ).get()
                    if let answer = response.flatMap({ try? JSON(parsing: $0.body) })?["choices"]?[0]?["message"] {
                        conversation.append(answer)
                    }
                    try? await Task.sleep(for: .seconds(Double.random(in: 0.5...4)))
                }
            }
        }
    }
}

import FakeBackend
import NIOCore
import NIOPosix
import Proxy
import Routing
import NIOConcurrencyHelpers
import Testing
import Wire

@testable import Control

/// A running proxy with its own endpoints, in front of fake engines A and B that a monitor watches.
struct TestBalancer: Sendable {
    let proxy: ProxyServer
    let fleet: TestFleet
    let load = LocalLoad()
    let board = ConfigurationBoard()
    let routes: AdminRoutes
    let engines: [FakeLlamaServer]

    var router: SharedRouter { fleet.router }

    /// What must never be shown.
    static let secrets = ["key-of-A-4711", "header-of-A-0815"]

    static func start(_ engines: [FakeLlamaServer], window: Int = 1, _ change: (inout [MonitoredServer]) -> Void = { _ in })
        async throws
        -> TestBalancer
    {
        var servers = zip(["A", "B"], engines).enumerated().map { $1.1.monitored($0 + 1, name: $1.0) }
        servers[0].engine.headers = [
            .init(name: "Authorization", value: "Bearer \(secrets[0])"), .init(name: "X-Token", value: secrets[1]),
        ]
        change(&servers)
        let balancer = try await TestBalancer(servers, engines)
        balancer.fleet.watch()
        for server in servers.map(\.name) {
            try await balancer.fleet.server(server, is: "up with its models") { $0.isUp && $0.models != nil && $0.limit != nil }
        }
        return balancer
    }

    private init(_ servers: [MonitoredServer], _ engines: [FakeLlamaServer]) async throws {
        self.engines = engines
        fleet = try TestFleet(servers)
        var contents = ConfigurationBoard.Contents()
        contents.file = "server-list.yaml"
        contents.loadedAt = 1_795_464_900_000
        contents.servers = servers.map {
            let url = "http://127.0.0.1:\($0.engine.address.port)"
            return .init(
                id: $0.id, name: $0.name, modelURL: url, healthURL: url, probedURL: url + "/llmhealth",
                requestMax: $0.name == "A" ? 2 : nil)
        }
        contents.patterns = [.init(pattern: "m.*", servers: ["A", "B"])]
        board.publish(contents)
        let activity = ActivityLog()
        routes = AdminRoutes(
            .init(router: fleet.router, monitor: fleet.monitor, load: load, activity: activity, configuration: board),
            eventLoop: TestFleet.group.next())
        var settings = ProxySettings()
        settings.endpoints = servers.map {
            BackendEndpoint(
                id: $0.id, name: $0.name, host: "127.0.0.1", port: $0.engine.address.port,
                authorization: $0.engine.headers.first?.value.exposed,
                extraHeaders: Array($0.engine.headers.dropFirst()))
        }
        proxy = try await ProxyServer.start(
            on: [Listener(.tcp(host: "127.0.0.1", port: 0))], maxConnections: 100, settings: settings,
            .init(group: TestFleet.group, router: fleet.router, localEndpoints: routes, observer: activity))
        routes.attach(proxy)
    }

    func stop() async {
        await proxy.shutDown(grace: .zero)
        fleet.monitor.stop()
    }

    /// Sends one request on a connection of its own and returns the whole answer.
    func ask(_ method: String, _ target: String, fields: [String] = [], body: String = "") async throws -> TextAnswer {
        let client = try await TextClient.connect(port: proxy.port)
        try await client.send(method, target, fields: fields, body: body)
        let text = try await client.text("the whole answer to \(method) \(target)") { _, hasEnded in hasEnded }
        return try TextAnswer(text)
    }

    func get(_ target: String) async throws -> TextAnswer { try await ask("GET", target) }

    func chat(_ model: String = "m", user: String = "u", id: String = "r", maxTokens: Int = 2) async throws -> TextAnswer {
        try await ask(
            "POST", "/v1/chat/completions", fields: ["X-Request-Id: \(id)", "X-Session-Id: \(user)"],
            body: Self.chatBody(model, maxTokens: maxTokens))
    }

    static func chatBody(_ model: String, maxTokens: Int) -> String {
        #"{"model":"\#(model)","max_tokens":\#(maxTokens),"messages":[{"role":"user","content":"PROMPT-TEXT"}]}"#
    }
}

/// A balancer before engines A and B, stopped whatever happens.
func withBalancer(
    _ a: Behaviour = Behaviour { $0.models = ["m"] }, _ b: Behaviour = Behaviour { $0.models = ["m"] },
    _ body: (TestBalancer) async throws -> Void
) async throws {
    try await withEngines(a, b) { engines in
        let balancer = try await TestBalancer.start(engines)
        let result: Result<Void, any Error>
        do {
            try await body(balancer)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await balancer.stop()
        try result.get()
    }
}

/// An answer as text; its body has a length or ends with the connection.
struct TextAnswer {
    let status: Int
    let head: String
    let body: String

    init(_ text: String) throws {
        let end = try #require(text.firstRange(of: "\r\n\r\n"), "no whole head: \(text)")
        head = String(text[..<end.lowerBound])
        status = try #require(head.split(separator: " ").dropFirst().first.flatMap { Int($0) }, "no status: \(head)")
        body = String(text[end.upperBound...])
    }

    func field(_ name: String) -> String? {
        head.split(separator: "\r\n").first { $0.lowercased().hasPrefix(name.lowercased() + ":") }
            .map { $0.dropFirst(name.count + 1).drop { $0 == " " } }.map(String.init)
    }

    var json: JSON { get throws { try JSON(parsing: Array(body.utf8)) } }
}

/// A connection that keeps everything that comes.
final class TextClient: Sendable {
    private let channel: any Channel
    private let inbox: Inbox

    private final class Inbox: Sendable {
        let state = NIOLockedValueBox((bytes: [UInt8](), hasEnded: false))
    }

    private final class Recorder: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let inbox: Inbox
        init(_ inbox: Inbox) { self.inbox = inbox }
        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = Array(unwrapInboundIn(data).readableBytesView)
            inbox.state.withLockedValue { $0.bytes += bytes }
        }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
        func channelInactive(context: ChannelHandlerContext) { inbox.state.withLockedValue { $0.hasEnded = true } }
    }

    private init(_ channel: any Channel, _ inbox: Inbox) {
        self.channel = channel
        self.inbox = inbox
    }

    static func connect(port: Int) async throws -> TextClient {
        let inbox = Inbox()
        let channel = try await ClientBootstrap(group: TestFleet.group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Recorder(inbox)) }
            }
            .connect(host: "127.0.0.1", port: port).get()
        return TextClient(channel, inbox)
    }

    func send(_ text: String) async throws { try await channel.writeAndFlush(ByteBuffer(string: text)) }

    func send(_ method: String, _ target: String, fields: [String] = [], body: String = "") async throws {
        let lines =
            ["\(method) \(target) HTTP/1.1", "Host: 127.0.0.1", "Connection: close", "Content-Length: \(body.utf8.count)"]
            + fields
        try await channel.writeAndFlush(ByteBuffer(string: lines.joined(separator: "\r\n") + "\r\n\r\n" + body))
    }

    /// Everything received, once it is as wanted.
    func text(_ what: String, where isWanted: (String, Bool) -> Bool) async throws -> String {
        try await wait(for: what, { inbox.state.withLockedValue { (String(decoding: $0.bytes, as: UTF8.self), $0.hasEnded) } }) {
            text, hasEnded in
            if isWanted(text, hasEnded) { return true }
            if hasEnded { throw TimedOut(description: "\(what): the connection ended before; received: \(text)") }
            return false
        }.0
    }

    /// Closes the sending side only.
    func endInput() async throws { try await channel.close(mode: .output).get() }

    func close() async { try? await channel.close() }
}

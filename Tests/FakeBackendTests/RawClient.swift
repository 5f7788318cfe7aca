import FakeBackend
import NIOCore
import NIOPosix
import NIOConcurrencyHelpers

/// A client that sends what it is told and keeps every byte and the way in which the connection ended.
final class RawClient: Sendable {
    enum Ending: Equatable, Sendable {
        /// FIN.
        case closed
        /// RST.
        case reset
    }

    struct TimedOut: Error, CustomStringConvertible {
        let description: String
    }

    fileprivate struct State {
        var received: [UInt8] = []
        var ending: Ending?
    }

    private static let limit = Duration.seconds(10)

    private let channel: any Channel
    private let state: Received

    private init(channel: any Channel, state: Received) {
        self.channel = channel
        self.state = state
    }

    static func connect(to engine: FakeLlamaServer) async throws -> RawClient {
        let state = Received()
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Recorder(state))
                }
            }
            .connect(host: engine.host, port: engine.port).get()
        return RawClient(channel: channel, state: state)
    }

    func send(_ text: String) async throws {
        try await channel.writeAndFlush(ByteBuffer(string: text))
    }

    func stopReading() async throws {
        try await channel.setOption(.autoRead, value: false).get()
    }

    /// Closes the connection, unless the engine has done so before.
    func close() async {
        try? await channel.close()
    }

    /// What has arrived since the last call, once it is as wanted. Fails when the connection ends or time runs out before.
    func receive(_ what: String, where isWanted: (String) -> Bool) async throws -> String {
        try await wait(for: what) { state in
            let text = String(decoding: state.received, as: UTF8.self)
            guard isWanted(text) else {
                if let ending = state.ending { throw TimedOut(description: "\(ending) before \(what): \(text)") }
                return nil
            }
            state.received = []
            return text
        }
    }

    /// A head and as much body as its Content-Length says.
    func receiveAnswer() async throws -> Answer {
        Answer(try await receive("a whole answer") { Answer($0).isComplete })
    }

    /// Everything until the connection has ended.
    func receiveUntilEnd() async throws -> (text: String, ending: Ending) {
        try await wait(for: "the end of the connection") { state in
            state.ending.map { (String(decoding: state.received, as: UTF8.self), $0) }
        }
    }

    private func wait<Result>(for what: String, _ look: (inout State) throws -> Result?) async throws -> Result {
        let deadline = ContinuousClock.now + RawClient.limit
        while true {
            if let result = try state.look(look) { return result }
            guard ContinuousClock.now < deadline else {
                throw TimedOut(description: "\(what) did not arrive; so far: \(state.text)")
            }
            try await Task.sleep(for: .milliseconds(1))
        }
    }

    /// Shared between the connection's loop and the test.
    fileprivate final class Received: Sendable {
        private let state = NIOLockedValueBox(State())
        var text: String { state.withLockedValue { String(decoding: $0.received, as: UTF8.self) } }
        func change(_ body: (inout State) -> Void) { state.withLockedValue { body(&$0) } }
        func look<Result>(_ body: (inout State) throws -> Result?) rethrows -> Result? {
            var copy = state.withLockedValue { $0 }
            let before = copy.received.count
            let result = try body(&copy)
            if copy.received.isEmpty { state.withLockedValue { $0.received.removeFirst(before) } }
            return result
        }
    }

    private final class Recorder: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let state: Received

        init(_ state: Received) { self.state = state }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let buffer = unwrapInboundIn(data)
            state.change { $0.received += Array(buffer.readableBytesView) }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            state.change { $0.ending = .reset }
            context.close(promise: nil)
        }

        func channelInactive(context: ChannelHandlerContext) {
            state.change { $0.ending = $0.ending ?? .closed }
        }
    }
}

/// An answer as text, taken apart.
struct Answer {
    let head: String
    let rest: String

    init(_ text: String) {
        let parts = text.split(separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false)
        head = parts.first.map(String.init) ?? ""
        rest = parts.count == 2 ? String(parts[1]) : ""
    }

    var status: Int? { head.split(separator: " ").dropFirst().first.flatMap { Int($0) } }

    func field(_ name: String) -> String? {
        head.split(separator: "\r\n").first { $0.lowercased().hasPrefix(name.lowercased() + ":") }
            .map { $0.dropFirst(name.count + 1).drop { $0 == " " } }.map(String.init)
    }

    var isComplete: Bool { field("Content-Length").flatMap { Int($0) }.map { rest.utf8.count >= $0 } ?? false }

    /// The chunks of the body; nil if they are broken or the last one is missing.
    var chunks: [String]? {
        var chunks: [String] = []
        var bytes = Array(rest.utf8)[...]
        while let end = bytes.firstIndex(of: 13) {
            let line = String(decoding: bytes[..<end], as: UTF8.self)
            guard let size = Int(line.split(separator: ";")[0], radix: 16), bytes.count >= size + 4 else { return nil }
            if size == 0 { return chunks }
            let content = bytes.dropFirst(end - bytes.startIndex + 2)
            chunks.append(String(decoding: content.prefix(size), as: UTF8.self))
            bytes = content.dropFirst(size + 2)
        }
        return nil
    }

    /// The body, whichever way it is framed; nil if its end is missing.
    var body: String? { field("Transfer-Encoding") == "chunked" ? chunks?.joined() : isComplete ? rest : nil }

    /// The data of the server-sent events of the body.
    var events: [String] {
        (body ?? "").split(separator: "\n").filter { $0.hasPrefix("data: ") }.map { String($0.dropFirst(6)) }
    }
}

/// The text of a request.
func request(_ method: String, _ target: String, fields: [String] = [], body: String = "") -> String {
    let lines = ["\(method) \(target) HTTP/1.1", "Host: engine", "Content-Length: \(body.utf8.count)"] + fields
    return lines.joined(separator: "\r\n") + "\r\n\r\n" + body
}

/// A chat of one turn.
func chat(_ content: String = "hello", maxTokens: Int = 4, stream: Bool = false, fault: String? = nil) -> String {
    request(
        "POST", "/v1/chat/completions", fields: fault.map { ["X-Fake-Fault: \($0)"] } ?? [],
        body:
            #"{"model":"m","stream":\#(stream),"max_tokens":\#(maxTokens),"messages":[{"role":"user","content":"\#(content)"}]}"#)
}

/// Runs a test against an engine that is stopped afterwards.
func withEngine(
    _ behaviour: Behaviour = Behaviour(), _ body: (FakeLlamaServer) async throws -> Void
) async throws {
    var behaviour = behaviour
    // The habit of closing idle connections after 5 s is no test's subject but its own, which sets a time; a test that gets
    // no processor for that long beside six hundred others must not lose its connection.
    if behaviour.idleTimeout == Behaviour().idleTimeout { behaviour.idleTimeout = nil }
    let engine = try await FakeLlamaServer.start(behaviour, group: MultiThreadedEventLoopGroup.singleton)
    do {
        try await body(engine)
    } catch {
        try await engine.stop()
        throw error
    }
    try await engine.stop()
}

extension FakeLlamaServer {
    /// Sends one request on a connection of its own and returns the answer.
    func ask(_ text: String) async throws -> Answer {
        let client = try await RawClient.connect(to: self)
        try await client.send(text)
        let answer = try await client.receiveAnswer()
        await client.close()
        return answer
    }
}

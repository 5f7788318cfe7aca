import NIOCore
import NIOHTTP1
import Simulation
import Wire

/// One connection to a machine: a request after the other.
final class MachineConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart

    /// As llama-server has them.
    static let idleTimeout = TimeAmount.seconds(5)
    private static let mostAnswers = 100

    private let fleet: Fleet
    private let machine: Machine
    private var channel: (any Channel)?
    private var head: HTTPRequestHead?
    private var body = ByteBuffer()
    private var job: Int?
    private var answers = 0

    init(number: Int, fleet: Fleet) {
        self.fleet = fleet
        machine = fleet.machines[number]
    }

    func channelActive(context: ChannelHandlerContext) { channel = context.channel }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            body.clear()
        case .body(var part): body.writeBuffer(&part)
        case .end: answer()
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        channel = nil
        if let job { machine.cancel(job) }
        job = nil
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent, job == nil { context.close(promise: nil) }
    }

    private func answer() {
        guard let head, job == nil else { return }
        let path = head.uri.prefix { $0 != "?" }
        switch (head.method, path) {
        case (.POST, "/v1/chat/completions"), (.POST, "/chat/completions"): chat()
        case (.GET, "/health"), (.GET, "/v1/health"): send(["status": "ok"])
        case (.GET, "/props"): send(machine.properties)
        case (.GET, "/slots"): send(machine.slotsPage)
        case (.GET, "/v1/models"), (.GET, "/models"): send(machine.models)
        case (.GET, "/fleet"): send(fleet.report)
        case (.POST, "/fleet/reset"):
            fleet.reset()
            send([:])
        case _: send(problem(404, "not_found_error", "File Not Found"), status: 404)
        }
    }

    private func chat() {
        guard let request = ChatRequest(body: Array(body.readableBytesView)) else {
            return send(problem(400, "invalid_request_error", "'messages' is required"), status: 400)
        }
        body.clear()
        guard request.prompt.count < Machine.contextTokens else {
            let message = "the request exceeds the available context size"
            return send(problem(400, "exceed_context_size_error", message), status: 400)
        }
        let answer = AnswerInProgress(request, machine: machine.name, connection: self)
        job = machine.submit(prompt: request.prompt, answer: request.answer.segment, reader: answer)
    }

    private func problem(_ status: Int, _ type: String, _ message: String) -> JSON {
        ["error": ["code": JSON(status), "message": .string(message), "type": .string(type)]]
    }

    // MARK: Answers

    /// A whole answer. Errors close the connection, as llama-server's do.
    func send(_ document: JSON, status: Int = 200) {
        job = nil
        answers += 1
        let isLast = status != 200 || head?.isKeepAlive != true || answers >= Self.mostAnswers
        let content = document.bytes
        var bytes = ByteBuffer()
        bytes.writeString("HTTP/1.1 \(status) \(HTTPResponseStatus(statusCode: status).reasonPhrase)\r\nServer: llama.cpp\r\n")
        bytes.writeString("Content-Type: application/json; charset=utf-8\r\nContent-Length: \(content.count)\r\n")
        bytes.writeString(isLast ? "Connection: close\r\n\r\n" : "Keep-Alive: timeout=5, max=100\r\n\r\n")
        bytes.writeBytes(content)
        write(bytes, closes: isLast)
    }

    /// A piece of a stream. After the last one the connection is closed, as llama-server closes it.
    func write(_ bytes: ByteBuffer, closes: Bool = false) {
        if closes { job = nil }
        guard let channel else { return }
        guard closes else { return channel.writeAndFlush(bytes, promise: nil) }
        channel.writeAndFlush(bytes).assumeIsolated().whenComplete { _ in channel.close(promise: nil) }
    }
}

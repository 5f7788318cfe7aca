import NIOCore
import Simulation
import Wire

/// An answer that the engine generates: sends its text as it comes, or all of it at the end.
final class AnswerInProgress: AnswerReader {
    private static let streamHead = """
        HTTP/1.1 200 OK\r\nServer: llama.cpp\r\nContent-Type: text/event-stream\r\nX-Accel-Buffering: no\r\n\
        Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n
        """

    private let request: ChatRequest
    private let machine: String
    private unowned let connection: MachineConnection
    private var text: [UInt8] = []
    private var sentTokens = 0

    init(_ request: ChatRequest, machine: String, connection: MachineConnection) {
        self.request = request
        self.machine = machine
        self.connection = connection
    }

    func generated(_ tokens: Int) {
        guard request.isStreamed, tokens > sentTokens else { return }
        var bytes = ByteBuffer()
        appendText(upTo: tokens, to: &bytes)
        connection.write(bytes)
    }

    func finished(_ timings: RealTimings) {
        guard request.isStreamed else { return connection.send(whole(timings)) }
        var bytes = ByteBuffer()
        appendText(upTo: timings.timings.predictedTokens, to: &bytes)
        let last: JSON = [["finish_reason": "length", "index": 0, "delta": [:]]]
        if request.includesUsage {
            append(chunk(last), to: &bytes)
            append(chunk([]).setting("usage", to: timings.usage).setting("timings", to: timings.document), to: &bytes)
        } else {
            append(chunk(last).setting("timings", to: timings.document), to: &bytes)
        }
        appendEvent("[DONE]", to: &bytes)
        bytes.writeString("0\r\n\r\n")
        connection.write(bytes, closes: true)
    }

    private func appendText(upTo tokens: Int, to bytes: inout ByteBuffer) {
        guard tokens > sentTokens else { return }
        if text.isEmpty {
            text = request.answer.bytes
            bytes.writeString(Self.streamHead)
            append(chunk([["finish_reason": nil, "index": 0, "delta": ["role": "assistant", "content": nil]]]), to: &bytes)
        }
        let size = AnswerText.bytesPerToken
        let piece = String(decoding: text[min(text.count, sentTokens * size)..<min(text.count, tokens * size)], as: UTF8.self)
        sentTokens = tokens
        append(chunk([["finish_reason": nil, "index": 0, "delta": ["content": .string(piece)]]]), to: &bytes)
    }

    private func chunk(_ choices: JSON) -> JSON { common("chat.completion.chunk", choices) }

    private func common(_ object: JSON, _ choices: JSON) -> JSON {
        [
            "choices": choices, "created": 1_790_000_000, "id": .string("chatcmpl-\(request.answer.key)"),
            "model": .string(Machine.model),
            "system_fingerprint": .string(machine), "object": object,
        ]
    }

    private func append(_ document: JSON, to bytes: inout ByteBuffer) { appendEvent(document.text, to: &bytes) }

    /// One event in one chunk.
    private func appendEvent(_ data: String, to bytes: inout ByteBuffer) {
        let event = "data: \(data)\n\n"
        bytes.writeString("\(String(event.utf8.count, radix: 16))\r\n\(event)\r\n")
    }

    private func whole(_ timings: RealTimings) -> JSON {
        let message: JSON = ["role": "assistant", "content": .string(String(decoding: request.answer.bytes, as: UTF8.self))]
        return common("chat.completion", [["finish_reason": "length", "index": 0, "message": message]])
            .setting("usage", to: timings.usage).setting("timings", to: timings.document)
    }
}

import NIOCore
import Wire

/// An answer as the engine would send it, before a fault changes it.
struct Answer {
    enum Body {
        case none
        case fixed([UInt8])
        /// A fixed body in two pieces, so that something can go wrong between them.
        case halves([UInt8], [UInt8])
        /// A stream, one event after the other.
        case generated(GeneratedBody)
        /// This many bytes of filler.
        case filler(bytes: Int)
    }

    var status = 200
    var contentType = "application/json; charset=utf-8"
    var fields: [(name: String, value: String)] = []
    var body: Body
    /// When the answer may begin, counted from the moment when the engine began to work on the request.
    var due = TimeAmount.zero

    static func json(_ json: JSON, status: Int = 200, due: TimeAmount = .zero) -> Answer {
        Answer(status: status, body: .fixed(json.bytes), due: due)
    }

    static func text(_ text: String, contentType: String, status: Int = 200) -> Answer {
        Answer(status: status, contentType: contentType, body: .fixed(Array(text.utf8)))
    }

    /// An error in the format of that kind of engine.
    static func error(_ status: Int, _ type: String, _ message: String, kind: Behaviour.Kind) -> Answer {
        switch kind {
        case .llamaServer:
            .json(["error": ["message": .string(message), "type": .string(type), "code": JSON(status)]], status: status)
        case .ollama: .json(["error": .string(message)], status: status)
        case .openai:
            .json(
                ["error": ["message": .string(message), "type": .string(type), "param": nil, "code": JSON(status)]],
                status: status)
        }
    }

    /// A generated text, streamed or whole.
    static func generated(_ generation: Generation, as form: any AnswerForm, streamed: Bool) -> Answer {
        guard streamed else { return .json(form.whole(generation), due: generation.end) }
        var answer = Answer(body: .generated(GeneratedBody(generation: generation, form: form)), due: generation.prefillEnd)
        answer.contentType = form.streamType
        if form.streamType == eventStream { answer.fields.append(("X-Accel-Buffering", "no")) }
        return answer
    }

    static let eventStream = "text/event-stream"

    var isStream: Bool { if case .generated = body { true } else { false } }

    /// A stream turned into one body, ready when its last event is.
    func collected() -> Answer {
        guard case .generated(var stream) = body else { return self }
        var whole = self
        var bytes: [UInt8] = []
        while let event = stream.next() {
            bytes += event.bytes
            whole.due = event.due
        }
        whole.body = .fixed(bytes)
        return whole
    }

    mutating func halveFixedBody() {
        guard case .fixed(let bytes) = body else { return }
        body = .halves(Array(bytes.prefix(bytes.count / 2)), Array(bytes.dropFirst(bytes.count / 2)))
    }

    /// Removes and returns the next piece of the body; nil at its end.
    mutating func nextEvent(fillerPiece: Int) -> TimedEvent? {
        switch body {
        case .none: return nil
        case .fixed(let bytes):
            body = .none
            return bytes.isEmpty ? nil : TimedEvent(due: .zero, bytes: bytes)
        case .halves(let first, let second):
            body = .fixed(second)
            return TimedEvent(due: .zero, bytes: first)
        case .generated(var stream):
            body = .none  // Gives up this reference, so that the stream is changed in place.
            let event = stream.next()
            body = .generated(stream)
            return event
        case .filler(let count):
            guard count > 0 else { return nil }
            body = .filler(bytes: max(0, count - fillerPiece))
            return TimedEvent(due: .zero, bytes: Array(repeating: UInt8(ascii: "x"), count: min(count, fillerPiece)))
        }
    }
}

/// The shape of a generated text in one API. Events are complete: `data: …` and an empty line, or a line of Ollama's.
protocol AnswerForm {
    var streamType: String { get }
    /// What is sent when the prompt has been read.
    func opening(_ generation: Generation) -> [String]
    func token(_ index: Int, of generation: Generation) -> String
    func closing(_ generation: Generation) -> [String]
    /// The whole answer when it is not streamed.
    func whole(_ generation: Generation) -> JSON
}

extension AnswerForm {
    var streamType: String { Answer.eventStream }
}

/// One event of a stream and when it may be sent.
struct TimedEvent {
    let due: TimeAmount
    let bytes: [UInt8]
}

/// The events of a generated stream, made one at a time so that a slow reader holds the engine back.
struct GeneratedBody {
    let generation: Generation
    let form: any AnswerForm
    private var opening: [String]?
    private var token = 0
    private var closing: [String]?

    init(generation: Generation, form: any AnswerForm) {
        self.generation = generation
        self.form = form
    }

    mutating func next() -> TimedEvent? {
        if opening == nil { opening = form.opening(generation).reversed() }
        if let event = opening?.popLast() { return TimedEvent(due: generation.prefillEnd, bytes: Array(event.utf8)) }
        if token < generation.answerTokens {
            defer { token += 1 }
            return TimedEvent(due: generation.due(token: token), bytes: Array(form.token(token, of: generation).utf8))
        }
        if closing == nil { closing = form.closing(generation).reversed() }
        return closing?.popLast().map { TimedEvent(due: generation.end, bytes: Array($0.utf8)) }
    }
}

import Wire

/// Scans a request's body while it arrives, for the model name and other facts.
struct BodyScanner {
    /// How the body is parsed.
    enum Format {
        /// The body is not scanned.
        case unread
        case json
        /// Scanned if it looks like a JSON object; then it must be well-formed.
        case anything
        /// Scanned if it looks like a JSON object. It may be anything else, or malformed.
        case perhapsJSON
        case form(boundary: String)
    }

    private enum Reader {
        case none
        case json
        /// No byte that shows the format has come. `isStrict`: JSON must be well-formed.
        case undecided(isStrict: Bool)
        /// It looks like JSON, but need not be.
        case perhapsJSON
        case form(MultipartScanner)
    }

    private var reader = Reader.none
    /// Kept so that its memory is reused.
    private var json = RequestScanner()

    /// Bodies that are shorter have no prompt worth remembering: to compute so few tokens again costs less than to look for them each
    /// time.
    private static let shortestPrompt = 2048

    /// A body begins. `length`: in bytes; nil when it is not known.
    mutating func begin(_ format: Format, length: Int? = nil) {
        let readsPrompt = length.map { $0 >= Self.shortestPrompt } ?? true
        switch format {
        case .unread: reader = .none
        case .json:
            reader = .json
            json.reset(readsPrompt: readsPrompt)
        case .anything, .perhapsJSON:
            if case .anything = format { reader = .undecided(isStrict: true) } else { reader = .undecided(isStrict: false) }
            json.reset(readsPrompt: readsPrompt)
        case .form(let boundary): reader = .form(MultipartScanner(boundary: boundary))
        }
    }

    mutating func feed(_ bytes: RawSpan) {
        switch reader {
        case .none: break
        case .json, .perhapsJSON: json.feed(bytes)
        case .undecided(let isStrict):
            // White space counts as well: places in the body are counted from its first byte.
            json.feed(bytes)
            guard let first = bytes.firstVisibleByte else { break }
            reader = first == UInt8(ascii: "{") ? (isStrict ? .json : .perhapsJSON) : .none
        case .form(var form):
            // Removed from `reader` while it changes: a second reference would cause a copy.
            reader = .none
            form.feed(bytes)
            reader = .form(form)
        }
    }

    var isForm: Bool {
        if case .form = reader { true } else { false }
    }

    /// More of the body may show which model it names.
    var isLooking: Bool {
        switch reader {
        case .none: false
        case .json, .undecided, .form: true
        case .perhapsJSON: !json.hasFailed
        }
    }

    /// The facts found so far; nil unless the model is known and nothing was malformed.
    var factsSoFar: RequestFacts? {
        switch reader {
        case .json where !json.hasFailed && json.facts.model != nil: json.facts
        case .perhapsJSON where !json.hasFailed && json.facts.model != nil: json.facts
        case .form(let form) where !form.hasFailed && form.facts.model != nil: form.facts
        case .none, .json, .undecided, .perhapsJSON, .form: nil
        }
    }

    /// What the engine has to read. Nil when the body has no prompt, is not complete, or is not JSON. It shares the scanner's memory,
    /// so it must not be kept.
    var prompt: PromptOutline? {
        // Otherwise reading it from a property of a class would copy the scanner.
        mutating get {
            switch reader {
            case .json, .perhapsJSON: json.prompt
            case .none, .undecided, .form: nil
            }
        }
    }

    /// Reads a complete JSON body again, after some of its characters were replaced. Only `prompt` changes.
    mutating func readPrompt(of body: RawSpan) {
        guard prompt != nil else { return }
        json.reset(readsPrompt: true)
        json.feed(body)
        _ = try? json.finish()
    }

    /// The body is complete. Nil when it was not scanned.
    mutating func finish() throws(RequestScanProblem) -> RequestFacts? {
        switch reader {
        case .none, .undecided: nil
        case .json: try json.finish()
        case .perhapsJSON: try? json.finish()
        case .form(var form): try form.finish()
        }
    }
}

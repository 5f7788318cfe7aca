import Wire

/// Scans a request's body while it arrives, for the model name and other facts.
struct BodyScanner {
    /// How the body is parsed.
    enum Format {
        /// The body is not scanned: it is compressed, or its path does not define a format.
        case unread
        case json
        case form(boundary: String)
    }

    private enum Reader {
        case none
        case json
        case form(MultipartScanner)
    }

    private var reader = Reader.none
    /// Kept so that its memory is reused.
    private var json = RequestScanner()

    /// A body begins.
    mutating func begin(_ format: Format) {
        switch format {
        case .unread: reader = .none
        case .json:
            reader = .json
            json.reset()
        case .form(let boundary): reader = .form(MultipartScanner(boundary: boundary))
        }
    }

    mutating func feed(_ bytes: RawSpan) {
        switch reader {
        case .none: break
        case .json: json.feed(bytes)
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

    /// The facts found so far; nil unless the model is known and nothing was malformed.
    var factsSoFar: RequestFacts? {
        switch reader {
        case .json where !json.hasFailed && json.facts.model != nil: json.facts
        case .form(let form) where !form.hasFailed && form.facts.model != nil: form.facts
        case .none, .json, .form: nil
        }
    }

    /// The body is complete. Nil when it was not scanned.
    mutating func finish() throws(RequestScanProblem) -> RequestFacts? {
        switch reader {
        case .none: nil
        case .json: try json.finish()
        case .form(var form): try form.finish()
        }
    }
}

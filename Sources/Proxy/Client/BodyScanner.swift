import Wire

/// Looks into a request's body while it comes, for the model it names and the like.
struct BodyScanner {
    /// What the body is read as.
    enum Format {
        /// Nobody looks into it: it is compressed, or its path says nothing about it.
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
    /// Kept for its memory.
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
            // Taken out while it changes: two references would copy.
            reader = .none
            form.feed(bytes)
            reader = .form(form)
        }
    }

    var isForm: Bool {
        if case .form = reader { true } else { false }
    }

    /// What has been found, when the model is known and nothing was malformed so far.
    var factsSoFar: RequestFacts? {
        switch reader {
        case .json where !json.hasFailed && json.facts.model != nil: json.facts
        case .form(let form) where !form.hasFailed && form.facts.model != nil: form.facts
        case .none, .json, .form: nil
        }
    }

    /// The body has come whole. Nil when nobody looked into it.
    mutating func finish() throws(RequestScanProblem) -> RequestFacts? {
        switch reader {
        case .none: nil
        case .json: try json.finish()
        case .form(var form): try form.finish()
        }
    }
}

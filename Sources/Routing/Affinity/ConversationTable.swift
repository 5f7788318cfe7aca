/// Which backend has the resumable stream of a conversation (llama-server's `X-Conversation-Id`). No other one can continue it.
struct ConversationTable: Sendable {
    /// Beyond this number the oldest are evicted.
    private static let limit = 10_000

    private var backends: [String: BackendID] = [:]
    /// In the order of their first use, in a ring.
    private var names: [String] = []
    private var oldest = 0

    var count: Int { backends.count }

    func backend(of name: String) -> BackendID? { backends[name] }

    mutating func record(_ name: String, at backend: BackendID) {
        guard backends.updateValue(backend, forKey: name) == nil else { return }
        guard names.count >= Self.limit else { return names.append(name) }
        backends[names[oldest]] = nil
        names[oldest] = name
        oldest = (oldest + 1) % Self.limit
    }
}

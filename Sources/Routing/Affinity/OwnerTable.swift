/// The backend that made a thing that only it has: a stored response, a file, a resumable stream.
struct OwnerTable: Sendable {
    /// Above this number, the oldest entries are evicted.
    private static let limit = 10_000

    private var backends: [String: BackendID] = [:]
    /// In order of first use, in a ring.
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

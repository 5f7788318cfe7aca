/// The backend that made a thing that only it has.
///
/// There is a table for what servers name themselves (stored responses, files), and another one for resumable streams, whose
/// names clients choose: a client must not be able to say where something else is.
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

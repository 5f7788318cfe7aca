/// How clients are named on pages and lists: unchanged, or, with `privacy: hide-clients`, as short hashes.
///
/// The hashes use a key of this process, so a guessed address or name cannot be verified. The same text has the same hash
/// until the program ends, so users can still see which client holds which server.
struct ClientNames: Sendable {
    private let key: (UInt64, UInt64)
    private let areHidden: Bool

    init(areHidden: Bool) {
        var random = SystemRandomNumberGenerator()
        self.init(areHidden: areHidden, key: (random.next(), random.next()))
    }

    private init(areHidden: Bool, key: (UInt64, UInt64)) {
        self.areHidden = areHidden
        self.key = key
    }

    /// With the same key.
    func hidden(_ areHidden: Bool) -> ClientNames { ClientNames(areHidden: areHidden, key: key) }

    /// The displayed form of an address, a user name, a session name or another name of a client.
    func shown(_ text: String) -> String {
        guard areHidden, !text.isEmpty else { return text }
        // `Hasher` is SipHash with Swift's own key of the process. The additional key keeps the hashes secret even when Swift
        // is configured to use a fixed key.
        var hasher = Hasher()
        hasher.combine(key.0)
        hasher.combine(key.1)
        hasher.combine(text)
        let hash = String(UInt64(truncatingIfNeeded: hasher.finalize()) >> 16, radix: 16)
        return "~" + String(repeating: "0", count: max(0, 12 - hash.count)) + hash
    }

    func shown(_ text: String?) -> String? { text.map { shown($0) } }
}

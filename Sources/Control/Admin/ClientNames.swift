/// How clients are named on pages and lists: as they are, or, with `privacy: hide-clients`, by short hashes.
///
/// The hashes are keyed with a key of this process, so that nobody who guesses an address or a name can check the guess. The same
/// text has the same hash until the program ends, so one can still see who holds which server.
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

    /// An address, a user's name, a session's name or what stands for a client: what of it is shown.
    func shown(_ text: String) -> String {
        guard areHidden, !text.isEmpty else { return text }
        // SipHash, with a random key of the process in it already; ours does not depend on how Swift was told to seed its own.
        var hasher = Hasher()
        hasher.combine(key.0)
        hasher.combine(key.1)
        hasher.combine(text)
        let hash = String(UInt64(truncatingIfNeeded: hasher.finalize()) >> 16, radix: 16)
        return "~" + String(repeating: "0", count: max(0, 12 - hash.count)) + hash
    }

    func shown(_ text: String?) -> String? { text.map { shown($0) } }
}

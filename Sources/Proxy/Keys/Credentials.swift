import Wire

/// The keys that a request's head presents.
struct Credentials: Equatable {
    enum Problem: Equatable {
        case missing
        /// Not one of the forms in which clients send keys.
        case unreadable
        /// Fields with different keys: which of them counts would be a guess.
        case several
    }

    /// The key that was presented; empty until one was.
    private(set) var key: [UInt8] = []
    /// It came as HTTP's Basic authentication. Browsers send that by themselves, also for pages of other sites.
    private(set) var isBasic = false
    private(set) var problem: Problem? = .missing

    /// The longest key that is looked at, in bytes.
    private static let longest = 1024

    /// `Authorization: Bearer KEY`, or `Basic` with the key as the password and any name.
    mutating func add(authorization value: [UInt8]) {
        let scheme = value.prefix { $0 != UInt8(ascii: " ") }
        let rest = Array(value.dropFirst(scheme.count).drop { $0 == UInt8(ascii: " ") })
        switch String(decoding: scheme, as: UTF8.self).lowercased() {
        case "bearer": add(rest)
        case "basic":
            guard let pair = Base64.decoded(rest), let colon = pair.firstIndex(of: UInt8(ascii: ":")) else {
                return fail(.unreadable)
            }
            isBasic = true
            add(Array(pair[(colon + 1)...]))
        default: fail(.unreadable)
        }
    }

    /// The value of a field that has nothing but a key.
    mutating func add(_ new: [UInt8]) {
        guard !new.isEmpty, new.count <= Self.longest else { return fail(.unreadable) }
        guard key.isEmpty || key == new else { return fail(.several) }
        key = new
        if problem == .missing { problem = nil }
    }

    private mutating func fail(_ new: Problem) { if problem == nil || problem == .missing { problem = new } }
}

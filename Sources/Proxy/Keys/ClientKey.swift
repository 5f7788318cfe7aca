package import Routing

/// A key of a client, and what it may be used for. The key itself is not known here.
package final class ClientKey: Sendable, Equatable {
    /// Shown in the access log and on pages.
    package let name: String
    package let digest: KeyDigest
    /// The models that it may be used for; nil: all.
    package let models: [ModelPattern]?
    /// What it may be used for; nil: the engines' APIs.
    package let paths: Set<PathGroup>?
    /// It may see and steer the balancer, too: `/admin/`, `/upstream/`, the page and the metrics.
    package let isAdmin: Bool
    /// It is refused from then on, in milliseconds since 1970; nil: never.
    package let expiresAt: Int?
    /// How much it may be used for.
    package let limits: KeyLimits
    /// How its requests stand beside others'.
    package let share: KeyShare

    package init(
        name: String, digest: KeyDigest, models: [ModelPattern]? = nil, paths: Set<PathGroup>? = nil, isAdmin: Bool = false,
        expiresAt: Int? = nil, limits: KeyLimits = KeyLimits(), share: KeyShare = KeyShare()
    ) {
        self.limits = limits
        self.share = share
        self.paths = paths
        self.name = name
        self.digest = digest
        self.models = models
        self.isAdmin = isAdmin
        self.expiresAt = expiresAt
    }

    package static func == (one: ClientKey, other: ClientKey) -> Bool {
        one.name == other.name && one.digest == other.digest && one.models == other.models && one.isAdmin == other.isAdmin
            && one.expiresAt == other.expiresAt && one.limits == other.limits && one.paths == other.paths
            && one.share == other.share
    }

    /// Whether it may ask that of the engines' APIs. Lists of models belong to everything.
    func opens(api line: RequestLine) -> Bool {
        guard let paths else { return true }
        if line.isRead, Routes.isMerged(line.path) || line.path.hasPrefix("/v1/models/") { return true }
        return paths.contains(PathGroup(apiPath: line.path))
    }

    /// Whether it may see or steer what only some keys may.
    func opens(restricted line: RequestLine) -> Bool {
        if isAdmin { return true }
        guard let paths, line.kind == .own, line.isRead else { return false }
        return paths.contains(.readOnly) || line.path == "/metrics" && paths.contains(.metrics)
    }
}

/// All keys of clients. Empty: none are configured, and nobody needs one.
package struct KeyRing: Sendable, Equatable {
    package let keys: [ClientKey]
    /// By the first bytes of their digests.
    private let byPrefix: [UInt64: ClientKey]

    /// Compared with when no key has the same first bytes, so that the comparison is made in any case.
    private static let nobody = KeyDigest(of: [])

    /// - Parameter keys: no two with the same digest.
    package init(_ keys: [ClientKey] = []) {
        self.keys = keys
        byPrefix = Dictionary(keys.map { ($0.digest.prefix, $0) }) { first, _ in first }
    }

    package var isEmpty: Bool { keys.isEmpty }

    /// Nil when there is no such key.
    package func key(_ presented: some Sequence<UInt8>) -> ClientKey? {
        let digest = KeyDigest(of: presented)
        let found = byPrefix[digest.prefix]
        return (found?.digest ?? Self.nobody) == digest ? found : nil
    }
}

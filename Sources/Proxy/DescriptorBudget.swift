/// Divides the file descriptors that the system allows, so that clients can never use up all of them: an accepted request
/// always gets a descriptor for its server, and so do probes, the log and the configuration.
package struct DescriptorBudget: Sendable, Equatable {
    /// Descriptors that the system allows.
    package let limit: Int
    /// The value of `limits.connections`.
    package let wantedClients: Int
    /// Descriptors needed to allow `wantedClients`.
    package let needed: Int
    /// Clients that may be connected at once.
    package let clients: Int
    /// Connections to servers that may be kept for reuse, over all loops.
    package let idleUpstream: Int
    /// Streams that may continue without their client, over all loops.
    package let detached: Int

    /// When descriptors are short, the number reserved for kept upstream connections and for streams that continue without
    /// their client. At most one for every two clients.
    private static let spare = 160

    /// - Parameters:
    ///   - limit: descriptors that this process may have.
    ///   - clients: `limits.connections`.
    package init(limit: Int, clients: Int, loops: Int, servers: Int) {
        let limit = min(limit, 1 << 30)
        // 24 for standard streams, listener, signals, logs, files and name lookups. A loop needs three, and the probes of a
        // server up to three at a time.
        let own = 24 + 3 * loops + 3 * servers
        // Each client needs one, and its request needs another one.
        needed = own + 2 * clients + min(clients / 2, Self.spare)
        let available = max(0, limit - own)
        self.limit = limit
        wantedClients = clients
        self.clients = max(1, min(clients, (available - min(available / 5, Self.spare)) / 2))
        let rest = max(0, available - 2 * self.clients)
        idleUpstream = rest / 2
        detached = rest / 2
    }

    /// The warning when the system allows too few descriptors; nil when it allows enough.
    package var warning: String? {
        guard limit < needed else { return nil }
        return "limits.connections: \(wantedClients) clients need \(needed) open files, and the system allows \(limit), "
            + "so only \(clients) clients are accepted at a time. Raise the hard limit (`ulimit -Hn \(needed)` as root, "
            + "`LimitNOFILE=\(needed)` in a systemd unit, `--ulimit nofile=\(needed)` for docker run), "
            + "or lower limits.connections."
    }
}

/// How the file descriptors that the system allows are shared out, so that clients alone can never use them up: a request that
/// has been accepted finds one for its server, and probes, the log and the configuration find theirs.
package struct DescriptorBudget: Sendable, Equatable {
    /// What the system allows.
    package let limit: Int
    /// What `limits.connections` asks for.
    package let wantedClients: Int
    /// What all of it would need.
    package let needed: Int
    /// Clients that may be connected at once.
    package let clients: Int
    /// Connections to servers kept for a next request, over all loops.
    package let idleUpstream: Int
    /// Streams that may go on without their client, over all loops.
    package let detached: Int

    /// Left where descriptors are short, for connections to servers that are kept and for streams that go on without their client:
    /// so many, but at most one for two clients.
    private static let spare = 160

    /// - Parameters:
    ///   - limit: descriptors that this process may have.
    ///   - clients: `limits.connections`.
    package init(limit: Int, clients: Int, loops: Int, servers: Int) {
        let limit = min(limit, 1 << 30)
        // Standard streams, listener, signals, logs, files, look-ups of names: 24. A loop has three, and probes of a server take up
        // to three at a time.
        let own = 24 + 3 * loops + 3 * servers
        // Each client takes one, and its request another one.
        needed = own + 2 * clients + min(clients / 2, Self.spare)
        let available = max(0, limit - own)
        self.limit = limit
        wantedClients = clients
        self.clients = max(1, min(clients, (available - min(available / 5, Self.spare)) / 2))
        let rest = max(0, available - 2 * self.clients)
        idleUpstream = rest / 2
        detached = rest / 2
    }

    /// What to tell when the system allows too few; nil when it does not.
    package var warning: String? {
        guard limit < needed else { return nil }
        return "limits.connections: \(wantedClients) clients need \(needed) open files, and the system allows \(limit), "
            + "so only \(clients) clients are accepted at a time. Raise the hard limit (`ulimit -Hn \(needed)` as root, "
            + "`LimitNOFILE=\(needed)` in a systemd unit, `--ulimit nofile=\(needed)` for docker run), "
            + "or lower limits.connections."
    }
}

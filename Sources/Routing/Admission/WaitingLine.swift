/// Who waits, in which order, until when.
///
/// Order: rounds. A client's first waiting request joins the round being served, its second the next one, and so on;
/// within a round it is first come, first served. So a client with ten requests does not stand in front of everybody
/// else's one, and clients that ask again as soon as they are served do not keep its second one waiting for ever
/// (start-time fair queueing with equal costs).
package struct WaitingLine: Sendable {
    package struct Entry: Sendable {
        package let ticket: Ticket
        package let traits: RequestTraits
        package let arrivedAt: Moment
        /// When it began to wait: later than `arrivedAt` when a failed attempt came first.
        package let joinedAt: Moment
        package let deadline: Moment
        package var history: AttemptHistory
        fileprivate let round: Int
        fileprivate let sequence: Int
    }

    /// In serving order.
    package private(set) var entries: [Entry] = []
    /// The round of the first in the line: newcomers join it.
    private var currentRound = 0
    private var nextSequence = 0
    /// The clients that have somebody waiting, or were served in the current round or ahead of it.
    private var clients: [String: Client] = [:]

    private struct Client: Sendable {
        /// The round of the last one that waits; with nobody waiting, of the last one served.
        var lastRound: Int
        var servedRound: Int?
        var waiting = 0
    }

    package init() {}

    package var count: Int { entries.count }

    /// The first deadline among those who wait.
    package var nextDeadline: Moment? { entries.lazy.map(\.deadline).min() }

    /// Joins the line at the place that is fair.
    package mutating func add(
        _ ticket: Ticket, _ traits: RequestTraits, arrivedAt: Moment, joinedAt: Moment, deadline: Moment,
        history: AttemptHistory
    ) {
        var client = clients[traits.client] ?? Client(lastRound: currentRound - 1)
        let round = max(currentRound, client.lastRound + 1)
        client.lastRound = round
        client.waiting += 1
        clients[traits.client] = client
        let entry = Entry(
            ticket: ticket, traits: traits, arrivedAt: arrivedAt, joinedAt: joinedAt, deadline: deadline,
            history: history, round: round, sequence: nextSequence)
        nextSequence += 1
        // From the back: a new entry usually belongs near the end.
        var index = entries.count
        while index > 0, entries[index - 1].round > round { index -= 1 }
        entries.insert(entry, at: index)
    }

    /// Leaves the line without being served. Nil when nobody of that name waits.
    package mutating func remove(_ ticket: Ticket) -> Entry? {
        guard let index = entries.firstIndex(where: { $0.ticket == ticket }) else { return nil }
        return remove(at: index, isServed: false)
    }

    /// Leaves the line because it is served now.
    package mutating func serve(at index: Int) -> Entry {
        let entry = remove(at: index, isServed: true)
        // Not the round served: that may lie ahead, when those in front wait for another server.
        if let first = entries.first, first.round > currentRound {
            currentRound = first.round
            clients = clients.filter { $0.value.waiting > 0 || $0.value.lastRound >= currentRound }
        }
        return entry
    }

    /// Takes out everybody whose deadline has come.
    package mutating func removeExpired(at now: Moment) -> [Entry] {
        let expired = entries.filter { $0.deadline <= now }
        for entry in expired { _ = remove(entry.ticket) }
        return expired
    }

    private mutating func remove(at index: Int, isServed: Bool) -> Entry {
        let entry = entries.remove(at: index)
        guard !entries.isEmpty, var client = clients[entry.traits.client] else {
            clients.removeAll()  // nobody waits: all start afresh
            return entry
        }
        client.waiting -= 1
        if isServed { client.servedRound = max(client.servedRound ?? entry.round, entry.round) }
        if client.waiting > 0 {
            clients[entry.traits.client] = client
        } else if let served = client.servedRound, served >= currentRound {
            client.lastRound = served
            clients[entry.traits.client] = client
        } else {
            clients[entry.traits.client] = nil
        }
        return entry
    }
}

/// What has been tried for a request so far.
package struct AttemptHistory: Sendable, Equatable {
    package var attempts = 0
    /// Servers that failed this request; they are not asked again.
    package var failed: [BackendID] = []
    package var lastFailure: String?

    package init() {}
}

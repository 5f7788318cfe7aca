/// The waiting requests, their order and their deadlines.
///
/// Requests are served in rounds. A client's first waiting request joins the current round, its second request the next
/// round, and so on. Within a round, requests are served in order of arrival. A client with ten waiting requests therefore
/// does not block the single request of another client, and clients that send a new request as soon as they are served do not
/// delay a client's second request for ever (start-time fair queueing with equal costs).
///
/// Requests that are eligible for the same servers form a lane. When no server can take the first request of a lane, no
/// server can take the requests behind it.
struct WaitingLine: Sendable {
    struct Entry: Sendable {
        var request: PendingRequest
        let deadline: Moment
        let turn: Turn
        let lane: Lane
        /// Of a request whose servers are priced: which of them comes first, whenever they were compared. Smaller is served first.
        var urgency: Double?

        /// The order in which requests are served, as far as it is known now.
        static func < (one: Entry, other: Entry) -> Bool {
            switch (one.urgency, other.urgency) {
            case (let own?, let others?) where own != others: own < others
            // Those without an urgency do not wait for something better, so they come first.
            case (nil, .some): true
            case (.some, nil): false
            case (nil, nil), (.some, .some): one.turn < other.turn
            }
        }
    }

    /// A place in the order.
    struct Turn: Comparable, Sendable {
        let round: Int
        let sequence: Int
        let ticket: Ticket

        static func < (one: Turn, other: Turn) -> Bool { (one.round, one.sequence) < (other.round, other.sequence) }
    }

    /// The properties of a request that decide whether a server may take it.
    struct Lane: Hashable, Sendable {
        let destination: RequestTraits.Destination
        let counts: Bool
        let follows: RequestTraits.Followed?
        let failed: Set<BackendID>
        /// Of each class, the first ones are looked at.
        let priority: PriorityClass

        init(_ request: PendingRequest) {
            destination = request.traits.destination
            counts = request.traits.counts
            follows = request.traits.follows
            priority = request.priority
            failed = request.history.excluded
        }
    }

    private struct LaneQueue: Sendable {
        var turns = PriorityQueue<Turn>()
        var count = 0
    }

    private struct Deadline: Comparable, Sendable {
        let at: Moment
        let turn: Turn

        static func < (one: Deadline, other: Deadline) -> Bool {
            one.at == other.at ? one.turn.sequence < other.turn.sequence : one.at < other.at
        }
    }

    private struct Client: Sendable {
        /// The round of the client's last waiting request. When none waits, the round of the last request that was served.
        var lastRound: Int
        var servedRound: Int?
        var waiting = 0
    }

    private var entries: [Ticket: Entry] = [:]
    // Each queue may still contain requests that have left the line, but never at its front.
    private var lanes: [Lane: LaneQueue] = [:]
    private var order = PriorityQueue<Turn>()
    private var deadlines = PriorityQueue<Deadline>()
    /// The round of the first request in the line. New requests join this round.
    private var currentRound = 0
    private var nextSequence = 0
    /// Clients with a waiting request, and clients that were served in the current round or a later one.
    private var clients: [String: Client] = [:]
    /// The number of clients remembered in addition to those that wait. A round does not end while new clients keep arriving.
    /// Above this number, clients that were already served may take another turn in the same round.
    private static let rememberedServed = 1_000

    var count: Int { entries.count }

    /// The number of clients whose rounds are remembered.
    var rememberedClients: Int { clients.count }

    /// The number of elements in all queues, including those of requests that have left.
    var queuedElements: Int { order.count + deadlines.count + lanes.values.reduce(0) { $0 + $1.turns.count } }

    /// The earliest deadline of a waiting request.
    var nextDeadline: Moment? { deadlines.first?.at }

    subscript(ticket: Ticket) -> Entry? { entries[ticket] }

    /// All entries in serving order. Sorted on each call; for pages and tests.
    var inOrder: [Entry] { entries.values.sorted(by: <) }

    /// The number of requests in front of the given request; nil when it does not wait.
    func ahead(of ticket: Ticket) -> Int? {
        entries[ticket].map { entry in entries.values.count { $0 < entry } }
    }

    /// The lanes of requests whose class is not below that of the given one, with the number of requests in each, without itself.
    func lanes(before request: PendingRequest) -> [(first: RequestTraits, count: Int)] {
        let own = entries[request.ticket]?.lane
        return lanes.compactMap { lane, queue in
            guard lane.priority.rank <= request.priority.rank, let first = queue.turns.first.flatMap({ entries[$0.ticket] })
            else { return nil }
            return (first.request.traits, queue.count - (lane == own ? 1 : 0))
        }
    }

    // MARK: Coming and going

    /// Adds a request at its fair position.
    ///
    /// - Parameter urgency: `Entry.urgency`.
    mutating func add(_ request: PendingRequest, deadline: Moment, urgency: Double? = nil) {
        let name = request.traits.client
        var client = clients[name] ?? Client(lastRound: currentRound - 1)
        let round = max(currentRound, client.lastRound + 1)
        client.lastRound = round
        client.waiting += 1
        clients[name] = client
        let turn = Turn(round: round, sequence: nextSequence, ticket: request.ticket)
        nextSequence += 1
        let entry = Entry(request: request, deadline: deadline, turn: turn, lane: Lane(request), urgency: urgency)
        entries[request.ticket] = entry
        order.push(turn)
        deadlines.push(Deadline(at: deadline, turn: turn))
        lanes[entry.lane, default: LaneQueue()].turns.push(turn)
        lanes[entry.lane]?.count += 1
    }

    /// Removes a request that was not served. Nil when it does not wait.
    mutating func remove(_ ticket: Ticket) -> Entry? { remove(ticket, isServed: false) }

    /// Removes a request that is now served.
    mutating func serve(_ ticket: Ticket) -> Entry? {
        let entry = remove(ticket, isServed: true)
        // The new round is that of the first request in the line. The request just served may belong to a later round, when
        // the requests in front of it wait for other servers.
        if let first = order.first, first.round > currentRound {
            currentRound = first.round
            clients = clients.filter { $0.value.waiting > 0 || $0.value.lastRound >= currentRound }
        }
        return entry
    }

    /// Removes all requests whose deadline has passed, the earliest deadline first.
    mutating func removeExpired(at now: Moment) -> [Entry] {
        var expired: [Entry] = []
        while let first = deadlines.first, first.at <= now, let entry = remove(first.turn.ticket) { expired.append(entry) }
        return expired
    }

    /// The request has to wait; until now it was only in the line because others were.
    mutating func waits(_ ticket: Ticket, since now: Moment) { entries[ticket]?.request.waitingSince = now }

    mutating func setUrgency(_ urgency: Double, of ticket: Ticket) { entries[ticket]?.urgency = urgency }

    mutating func predict(_ ticket: Ticket, seconds: Double, at now: Moment) {
        entries[ticket]?.request.predict(seconds, at: now)
    }

    // MARK: Lanes

    /// The first requests of a lane, at most `limit`.
    func first(_ limit: Int, of lane: Lane) -> [Ticket] {
        guard var turns = lanes[lane]?.turns else { return [] }
        var found: [Ticket] = []
        while found.count < limit, let turn = turns.popFirst() {
            if entries[turn.ticket]?.turn.sequence == turn.sequence { found.append(turn.ticket) }
        }
        return found
    }

    /// The first request of each lane, in reverse serving order.
    var heads: [Turn] { lanes.values.compactMap(\.turns.first).sorted(by: >) }

    /// The first request of a lane; nil when the lane is empty.
    func head(of lane: Lane) -> Turn? { lanes[lane]?.turns.first }

    private mutating func remove(_ ticket: Ticket, isServed: Bool) -> Entry? {
        guard let entry = entries.removeValue(forKey: ticket) else { return nil }
        guard !entries.isEmpty else {
            // The line is empty: all clients start again in the same round.
            (lanes, order, deadlines, clients) = ([:], .init(), .init(), [:])
            return entry
        }
        let waiting = entries
        func waits(_ turn: Turn) -> Bool { waiting[turn.ticket]?.turn.sequence == turn.sequence }
        order.clean(wanted: waiting.count, isWanted: waits)
        deadlines.clean(wanted: waiting.count) { waits($0.turn) }
        let left = (lanes[entry.lane]?.count ?? 1) - 1
        if left > 0 {
            lanes[entry.lane]?.count = left
            lanes[entry.lane]?.turns.clean(wanted: left, isWanted: waits)
        } else {
            lanes[entry.lane] = nil
        }
        leave(entry, isServed: isServed)
        return entry
    }

    private mutating func leave(_ entry: Entry, isServed: Bool) {
        let name = entry.request.traits.client
        guard var client = clients[name] else { return }
        client.waiting -= 1
        if isServed { client.servedRound = max(client.servedRound ?? entry.turn.round, entry.turn.round) }
        if client.waiting > 0 {
            clients[name] = client
        } else if let served = client.servedRound, served >= currentRound {
            client.lastRound = served
            clients[name] = client
            if clients.count > entries.count + Self.rememberedServed { clients = clients.filter { $0.value.waiting > 0 } }
        } else {
            clients[name] = nil
        }
    }
}

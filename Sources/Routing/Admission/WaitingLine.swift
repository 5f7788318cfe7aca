/// Who waits, in which order, until when.
///
/// The order is by rounds. A client's first waiting request joins the round being served, its second the next one, and so on;
/// within a round it is first come, first served. So a client with ten requests does not stand in front of everybody
/// else's one, and clients that ask again as soon as they are served do not keep its second one waiting for ever
/// (start-time fair queueing with equal costs).
///
/// Requests that are eligible for the same servers are in one lane: when the first of a lane finds no place, none of those
/// behind it does.
struct WaitingLine: Sendable {
    struct Entry: Sendable {
        let request: PendingRequest
        let deadline: Moment
        let turn: Turn
        let lane: Lane
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
        let failed: Set<BackendID>

        init(_ request: PendingRequest) {
            destination = request.traits.destination
            counts = request.traits.counts
            failed = Set(request.history.failed)
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
        /// The round of the last one that waits; with nobody waiting, of the last one served.
        var lastRound: Int
        var servedRound: Int?
        var waiting = 0
    }

    private var entries: [Ticket: Entry] = [:]
    // Each queue may still contain requests that have left the line, but never at its front.
    private var lanes: [Lane: LaneQueue] = [:]
    private var order = PriorityQueue<Turn>()
    private var deadlines = PriorityQueue<Deadline>()
    /// The round of the first in the line: newcomers join it.
    private var currentRound = 0
    private var nextSequence = 0
    /// The clients that have somebody waiting, or were served in the current round or ahead of it.
    private var clients: [String: Client] = [:]
    /// Clients that are remembered in addition to those that wait. As long as new clients keep arriving a round does not end;
    /// beyond this number, clients that were served may take another turn in it.
    private static let rememberedServed = 1_000

    var count: Int { entries.count }

    /// How many clients are remembered, for their rounds.
    var rememberedClients: Int { clients.count }

    /// The number of elements in all queues, including those of requests that have left.
    var queuedElements: Int { order.count + deadlines.count + lanes.values.reduce(0) { $0 + $1.turns.count } }

    /// The first deadline among those who wait.
    var nextDeadline: Moment? { deadlines.first?.at }

    subscript(ticket: Ticket) -> Entry? { entries[ticket] }

    /// All entries in serving order. Sorted on each call; for pages and tests.
    var inOrder: [Entry] { entries.values.sorted { $0.turn < $1.turn } }

    /// How many are in front of that request; nil when it does not wait.
    func ahead(of ticket: Ticket) -> Int? {
        entries[ticket].map { entry in entries.values.count { $0.turn < entry.turn } }
    }

    // MARK: Coming and going

    /// Joins the line at its fair place.
    mutating func add(_ request: PendingRequest, deadline: Moment) {
        let name = request.traits.client
        var client = clients[name] ?? Client(lastRound: currentRound - 1)
        let round = max(currentRound, client.lastRound + 1)
        client.lastRound = round
        client.waiting += 1
        clients[name] = client
        let turn = Turn(round: round, sequence: nextSequence, ticket: request.ticket)
        nextSequence += 1
        let entry = Entry(request: request, deadline: deadline, turn: turn, lane: Lane(request))
        entries[request.ticket] = entry
        order.push(turn)
        deadlines.push(Deadline(at: deadline, turn: turn))
        lanes[entry.lane, default: LaneQueue()].turns.push(turn)
        lanes[entry.lane]?.count += 1
    }

    /// Leaves the line without being served. Nil when it does not wait.
    mutating func remove(_ ticket: Ticket) -> Entry? { remove(ticket, isServed: false) }

    /// Leaves the line because it is served now.
    mutating func serve(_ ticket: Ticket) -> Entry? {
        let entry = remove(ticket, isServed: true)
        // The round of the first in the line, not of the request just served: that may be a later one, when those in front
        // wait for another server.
        if let first = order.first, first.round > currentRound {
            currentRound = first.round
            clients = clients.filter { $0.value.waiting > 0 || $0.value.lastRound >= currentRound }
        }
        return entry
    }

    /// Takes out everybody whose deadline has come, the earliest deadline first.
    mutating func removeExpired(at now: Moment) -> [Entry] {
        var expired: [Entry] = []
        while let first = deadlines.first, first.at <= now, let entry = remove(first.turn.ticket) { expired.append(entry) }
        return expired
    }

    // MARK: Lanes

    /// The first of each lane, in reverse serving order.
    var heads: [Turn] { lanes.values.compactMap(\.turns.first).sorted(by: >) }

    /// The first of a lane; nil when it is empty.
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

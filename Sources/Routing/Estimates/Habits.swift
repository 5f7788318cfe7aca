/// A mean that forgets, and begins with an assumption.
struct Mean: Sendable, Equatable {
    private var sum: Double
    private var weight: Double
    private let kept: Double

    init(_ assumed: Double, weight: Double, kept: Double) {
        sum = assumed * weight
        self.weight = weight
        self.kept = kept
    }

    var value: Double { weight > 0 ? sum / weight : 0 }

    mutating func add(_ sample: Double) {
        sum = sum * kept + sample
        weight = weight * kept + 1
    }

    /// Drawn towards the mean of all with the weight of three samples.
    func drawn(towards all: Double) -> Double { (sum + 3 * all) / (weight + 3) }
}

/// What is usual of conversations: how long answers are, how much a turn adds, how long users think, whether they go on. A client's own
/// values (`ClientTable`) are drawn towards these while there are few of them.
struct Habits: Sendable {
    /// A longer turn is a new topic rather than a turn.
    static let longestTurn = 8_000.0
    /// A longer answer says no more than this about the next ones.
    private static let longestAnswer = 16_000.0
    private static let mostLaterTurns = 5.0

    /// Tokens of an answer.
    private(set) var answer = Mean(150, weight: 2, kept: 0.95)
    /// Tokens that a further turn adds to its conversation.
    private(set) var turn = Mean(500, weight: 2, kept: 0.95)
    /// Seconds between an answer and the next turn.
    private(set) var pause: Mean
    private var goesOn = Mean(0.5, weight: 4, kept: 0.98)
    private(set) var clients: ClientTable
    private var longestPause: Double

    /// - Parameter conversationTime: `RoutingPolicy.conversationTime`.
    init(conversationTime: Double) {
        pause = Mean(conversationTime * PriceWeights.pause, weight: 2, kept: 0.95)
        longestPause = conversationTime * PriceWeights.longestPause
        clients = ClientTable(serviceMemory: conversationTime * PriceWeights.serviceMemory)
    }

    /// The time for which conversations are expected to go on has changed.
    mutating func setConversationTime(_ seconds: Double, at now: Double) {
        longestPause = seconds * PriceWeights.longestPause
        clients.setServiceMemory(seconds * PriceWeights.serviceMemory, at: now)
    }

    /// The client with little work whose request came last, and the last one other than this; with the moments, in seconds.
    private var lastClient = (id: ClientTable.ID.none, at: -Double.infinity)
    private var otherClient = (id: ClientTable.ID.none, at: -Double.infinity)

    /// A client's request came. `isBulk`: the client says that nobody waits for it.
    mutating func client(_ name: String, isBulk: Bool = false, at now: Double) -> ClientTable.ID {
        let id = clients.find(name)
        if isBulk || clients.read(id, { $0.running > 1 }) == true { return id }
        if id != lastClient.id { otherClient = lastClient }
        lastClient = (id, now)
        return id
    }

    /// What a key has been served, for all its sessions.
    mutating func account(_ key: String) -> ClientTable.ID { clients.find("key " + key) }

    mutating func began(_ client: ClientTable.ID, at now: Double) {
        clients.change(client) {
            $0.running += 1
            $0.grantedAt = now
        }
    }
    mutating func ended(_ client: ClientTable.ID) { clients.change(client) { $0.running = max(0, $0.running - 1) } }

    /// Whether the client has several requests running and was served much more than others who ask, or has a bulk request. When it has
    /// got nothing for long, it no longer makes room for them.
    ///
    /// - Parameter arrival: of its request, in seconds.
    func isCrowdingOut(
        _ client: ClientTable.ID, isBulk: Bool, arrival: Double, at now: Double, within seconds: Double
    ) -> Bool {
        let other = lastClient.id == client ? otherClient : lastClient
        guard now - other.at < seconds else { return false }
        let little = Self.muchMore * max(Self.littleService, service(of: other.id, at: now))
        return clients.read(client) {
            let hasMuch = isBulk || $0.running > 1 && $0.service.value(at: now) > little
            return hasMuch && now - max($0.grantedAt, arrival) < seconds
        } == true
    }

    /// A client that has two short requests running has not much work.
    private static let muchMore = 4.0
    /// Tokens.
    private static let littleService = 1000.0

    var answerTokens: Double { answer.value }

    /// What to expect of a client's request: the tokens of its answer, and the number of later turns. `model`: nil when it is not known
    /// which one runs.
    func expectations(of client: ClientTable.ID, model: String?) -> (answerTokens: Double, laterTurns: Double)? {
        let known = clients.read(client) { client in
            let probability = min(0.999, client.goesOn.drawn(towards: goesOn.value))
            return (client.answer.drawn(towards: answer.value), min(Self.mostLaterTurns, probability / (1 - probability)))
        }
        guard let (tokens, turns) = known, let model, let own = clients.answer(of: client, model: model) else { return known }
        return (own.drawn(towards: tokens), turns)
    }

    /// What the servers did for a client lately, in tokens.
    func service(of client: ClientTable.ID, at now: Double) -> Double {
        clients.read(client) { $0.service.value(at: now) } ?? 0
    }

    mutating func served(_ client: ClientTable.ID, tokens: Double, at now: Double) {
        clients.change(client) { $0.service.add(tokens, at: now) }
    }

    /// A request came.
    ///
    /// - Parameters:
    ///   - conversation: the one that it goes on with.
    ///   - pause: the seconds since the end of the turn before; nil when that is not known.
    mutating func arrived(_ client: ClientTable.ID, continues conversation: SequenceID?, pause seconds: Double?) {
        let sample = conversation == nil ? 0.0 : 1.0
        goesOn.add(sample)
        clients.change(client) {
            $0.goesOn.add(sample)
            if let conversation { $0.alternates.add(conversation == $0.lastConversation ? 0 : 1) }
        }
        if let seconds { pause.add(min(longestPause, seconds)) }
    }

    /// A turn of a conversation begins.
    mutating func turnBegan(_ client: ClientTable.ID, _ conversation: SequenceID) {
        clients.change(client) { $0.lastConversation = conversation }
    }

    /// The conversation that a client leaves when it begins another one, and how likely it is that it comes back.
    func left(by client: ClientTable.ID) -> (conversation: SequenceID, comesBack: Double)? {
        clients.read(client) { client in client.lastConversation.map { ($0, client.alternates.value) } } ?? nil
    }

    mutating func answered(_ client: ClientTable.ID, model: String?, tokens: Double) {
        let tokens = min(Self.longestAnswer, tokens)
        answer.add(tokens)
        clients.answered(client, model: model, tokens: tokens)
    }

    /// A further turn of a conversation added that many tokens.
    mutating func turned(_ tokens: Double) { turn.add(min(Self.longestTurn, tokens)) }
}

/// What is usual of conversations: how long answers are, how much a turn adds, how long users think, whether they go on. Of each client
/// its own values are kept, too, and drawn towards those of all clients while there are few.
struct Habits: Sendable {
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
        func drawn(towards all: Mean) -> Double { (sum + 3 * all.value) / (weight + 3) }
    }

    private struct Client: Sendable {
        var answer = Mean(0, weight: 0, kept: 0.95)
        var goesOn = Mean(0, weight: 0, kept: 0.97)
    }

    /// A longer turn is a new topic rather than a turn.
    static let longestTurn = 8_000.0
    private static let rememberedClients = 4_096

    /// Tokens of an answer.
    private var answer = Mean(150, weight: 2, kept: 0.95)
    /// Tokens that a further turn adds to its conversation.
    private(set) var turn = Mean(500, weight: 2, kept: 0.95)
    /// Seconds between an answer and the next turn.
    private(set) var pause: Mean
    private var goesOn = Mean(0.5, weight: 4, kept: 0.98)
    /// The clients seen lately, and those seen before: what is not in either is forgotten.
    private var clients: [String: Client] = [:]
    private var earlierClients: [String: Client] = [:]

    /// - Parameter pause: the assumed seconds between an answer and the next turn.
    init(pause: Double = 8) { self.pause = Mean(pause, weight: 2, kept: 0.95) }

    var answerTokens: Double { answer.value }

    /// What to expect of a client's request: the tokens of its answer, and the number of later turns.
    func expectations(of client: String) -> (answerTokens: Double, laterTurns: Double) {
        let known = clients[client] ?? earlierClients[client] ?? Client()
        let probability = min(0.999, known.goesOn.drawn(towards: goesOn))
        return (known.answer.drawn(towards: answer), min(5, probability / (1 - probability)))
    }

    /// A request came. `pause`: the seconds since the end of the turn before; nil when that is not known.
    mutating func arrived(_ client: String, continues: Bool, pause seconds: Double?, longestPause: Double) {
        let sample = continues ? 1.0 : 0.0
        goesOn.add(sample)
        change(client) { $0.goesOn.add(sample) }
        if let seconds { pause.add(min(longestPause, seconds)) }
    }

    mutating func answered(_ client: String, tokens: Double) {
        answer.add(tokens)
        change(client) { $0.answer.add(tokens) }
    }

    /// A further turn of a conversation added that many tokens.
    mutating func turned(_ tokens: Double) { turn.add(min(Self.longestTurn, tokens)) }

    private mutating func change(_ name: String, _ body: (inout Client) -> Void) {
        if clients[name] == nil {
            if clients.count >= Self.rememberedClients {
                earlierClients = clients
                clients = [:]
            }
            clients[name] = earlierClients[name] ?? Client()
        }
        body(&clients[name, default: Client()])
    }
}

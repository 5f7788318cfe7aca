/// What is remembered of each client: its habits, and how much the servers have done for it lately.
struct ClientTable: Sendable {
    struct Entry: Sendable {
        fileprivate let name: String
        fileprivate var serial: UInt32
        /// Asked for again since the hand passed last. One that came only once gets no second chance.
        fileprivate var isRecent = false
        /// Tokens of answers.
        var answer = Mean(0, weight: 0, kept: 0.95)
        /// The same for a few models, those that it uses most in front.
        fileprivate var answers: [(model: String, mean: Mean)] = []
        /// How often a request goes on with a conversation.
        var goesOn = Mean(0, weight: 0, kept: 0.97)
        /// The conversation of its last request, and how often it goes on with another one: never, when it has one at a time.
        var lastConversation: SequenceID?
        var alternates = Mean(0, weight: 1, kept: 0.95)
        /// What the servers did for it, in tokens: prompt tokens that were computed, and twice the tokens of answers. What was found
        /// in a cache is free. Who has had least comes first in the line.
        var service: DecayingSum
        /// Requests in flight.
        var running = 0
        /// When the last one began, in seconds.
        var grantedAt = -Double.infinity
    }

    /// Refers to a client, which may have been forgotten in the meantime.
    struct ID: Sendable, Equatable {
        fileprivate var index: Int32
        fileprivate var serial: UInt32

        static let none = ID(index: -1, serial: 0)
    }

    private static let most = 8_192
    private static let mostModels = 4
    /// Longer names are not remembered: clients may choose them.
    private static let longestName = 256

    private var serviceMemory: Double
    private var indexOfName: [String: Int32] = [:]
    private var entries: [Entry] = []
    private var hand = 0

    var count: Int { entries.count }

    /// - Parameter serviceMemory: seconds after which service counts 1/e.
    init(serviceMemory: Double) { self.serviceMemory = serviceMemory }

    mutating func setServiceMemory(_ seconds: Double, at now: Double) {
        serviceMemory = seconds
        for index in entries.indices { entries[index].service.setTimeConstant(seconds, at: now) }
    }

    /// The client's entry, which is made if there is none. Above a number of clients, one that has not been seen for long is forgotten
    /// (the clock algorithm).
    mutating func find(_ name: String) -> ID {
        if let index = indexOfName[name] {
            entries[Int(index)].isRecent = true
            return ID(index: index, serial: entries[Int(index)].serial)
        }
        var entry = Entry(name: name, serial: 1, service: DecayingSum(timeConstant: serviceMemory))
        guard entries.count >= Self.most else {
            entries.append(entry)
            indexOfName[name] = Int32(entries.count - 1)
            return ID(index: Int32(entries.count - 1), serial: 1)
        }
        while entries[hand].isRecent {
            entries[hand].isRecent = false
            hand = (hand + 1) % entries.count
        }
        indexOfName[entries[hand].name] = nil
        entry.serial = entries[hand].serial &+ 1
        entries[hand] = entry
        indexOfName[name] = Int32(hand)
        defer { hand = (hand + 1) % entries.count }
        return ID(index: Int32(hand), serial: entry.serial)
    }

    func read<Result>(_ id: ID, _ body: (borrowing Entry) -> Result) -> Result? {
        isKnown(id) ? body(entries[Int(id.index)]) : nil
    }

    /// The client's answers of that model; nil when there were none lately.
    func answer(of id: ID, model: String) -> Mean? {
        guard isKnown(id) else { return nil }
        return entries[Int(id.index)].answers.first { $0.model == model }?.mean
    }

    /// An answer of that many tokens.
    mutating func answered(_ id: ID, model: String?, tokens: Double) {
        guard isKnown(id) else { return }
        let index = Int(id.index)
        entries[index].answer.add(tokens)
        guard let model, model.utf8.count <= Self.longestName else { return }
        if let place = entries[index].answers.firstIndex(where: { $0.model == model }) {
            entries[index].answers[place].mean.add(tokens)
            if place > 0 { entries[index].answers.swapAt(place, place - 1) }
            return
        }
        if entries[index].answers.count == Self.mostModels { entries[index].answers.removeLast() }
        entries[index].answers.append((model, Mean(tokens, weight: 1, kept: 0.95)))
    }

    mutating func change(_ id: ID, _ body: (inout Entry) -> Void) {
        if isKnown(id) { body(&entries[Int(id.index)]) }
    }

    /// Also harmless with a reference into another table.
    private func isKnown(_ id: ID) -> Bool {
        entries.indices.contains(Int(id.index)) && entries[Int(id.index)].serial == id.serial
    }
}

import Testing

@testable import Routing

/// The waiting line told a second time: one list in serving order.
private struct PlainLine {
    struct Entry {
        var ticket: Ticket
        var client: String
        var model: String
        var round: Int
        var sequence: Int
        var deadline: Moment
    }

    struct Client {
        var lastRound: Int
        var servedRound: Int?
    }

    private(set) var entries: [Entry] = []
    private var clients: [String: Client] = [:]
    private var currentRound = 0
    private var sequence = 0

    mutating func add(_ ticket: Ticket, client name: String, model: String, deadline: Moment) {
        let round = max(currentRound, (clients[name]?.lastRound ?? currentRound - 1) + 1)
        clients[name, default: Client(lastRound: round)].lastRound = round
        let index = entries.firstIndex { $0.round > round } ?? entries.count
        entries.insert(
            Entry(ticket: ticket, client: name, model: model, round: round, sequence: sequence, deadline: deadline), at: index)
        sequence += 1
    }

    mutating func remove(_ ticket: Ticket, isServed: Bool) {
        guard let index = entries.firstIndex(where: { $0.ticket == ticket }) else { return }
        let entry = entries.remove(at: index)
        guard let first = entries.first else {
            clients = [:]
            return
        }
        if isServed {
            let served = clients[entry.client]?.servedRound
            clients[entry.client]?.servedRound = max(served ?? entry.round, entry.round)
        }
        if !entries.contains(where: { $0.client == entry.client }) {
            let served = clients[entry.client]?.servedRound
            clients[entry.client] = served.flatMap { $0 >= currentRound ? Client(lastRound: $0, servedRound: $0) : nil }
        }
        if isServed, first.round > currentRound {
            currentRound = first.round
            let (round, waiting) = (currentRound, Set(entries.map(\.client)))
            clients = clients.filter { name, client in client.lastRound >= round || waiting.contains(name) }
        }
    }
}

@Suite("Properties of the waiting line")
struct WaitingLinePropertyTests {
    @Test("agrees with a plain list over random use", arguments: 1...10)
    func randomUse(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var line = WaitingLine()
        var plain = PlainLine()
        for step in 0..<2_000 {
            let now = Moment.zero + .seconds(Int64(step))
            // Long and short lines in turn.
            let arrivals = step % 400 < 200 ? 60 : 30
            switch random.below(100) {
            case 0..<arrivals:
                let ticket = Ticket(owner: 0, sequence: UInt64(step))
                let client = "\(random.below(6))"
                let model = random.pick(["a", "b", "c"])
                let deadline = now + .seconds(Int64(20 + random.below(400)))
                let traits = RequestTraits(destination: .model(model), client: client)
                line.add(PendingRequest(ticket: ticket, traits: traits, arrivedAt: now, waitingSince: now), deadline: deadline)
                plain.add(ticket, client: client, model: model, deadline: deadline)
            case arrivals..<85:
                guard let head = line.heads.randomElement(using: &random) else { continue }
                let served = line.serve(head.ticket)
                #expect(served?.request.ticket == head.ticket)
                plain.remove(head.ticket, isServed: true)
            case 85..<97:
                guard let entry = plain.entries.randomElement(using: &random) else { continue }
                let gone = line.remove(entry.ticket)
                #expect(gone?.deadline == entry.deadline)
                plain.remove(entry.ticket, isServed: false)
            default:
                let expected = plain.entries.filter { $0.deadline <= now }
                let expired = line.removeExpired(at: now)
                #expect(Set(expired.map(\.request.ticket)) == Set(expected.map(\.ticket)))
                #expect(expired.map(\.deadline) == expired.map(\.deadline).sorted())
                for entry in expired { plain.remove(entry.request.ticket, isServed: false) }
            }
            if let difference = difference(line, plain) {
                Issue.record("seed \(seed), step \(step): \(difference)")
                return
            }
        }
    }

    private func difference(_ line: WaitingLine, _ plain: PlainLine) -> String? {
        let tickets = plain.entries.map(\.ticket)
        guard line.count == tickets.count, line.inOrder.map(\.request.ticket) == tickets else { return "the order" }
        guard line.nextDeadline == plain.entries.map(\.deadline).min() else { return "the next deadline" }
        var models: Set<String> = []
        let heads = plain.entries.filter { models.insert($0.model).inserted }.map(\.ticket)
        guard line.heads.reversed().map(\.ticket) == heads else { return "the heads of the lanes" }
        guard tickets.enumerated().allSatisfy({ line.ahead(of: $0.element) == $0.offset }) else { return "who is ahead" }
        return nil
    }

    @Test("what has left it is not kept for long")
    func memory() {
        var line = WaitingLine()
        var random = SplitMix64(seed: 1)
        var waiting: [Ticket] = []
        for number in 0..<20_000 as Range<UInt64> {
            let ticket = Ticket(owner: 0, sequence: number)
            let traits = RequestTraits(destination: .model("m"), client: "\(number)")
            line.add(PendingRequest(ticket: ticket, traits: traits, arrivedAt: .zero), deadline: .zero + .seconds(Int64(number)))
            waiting.append(ticket)
            // Never the first one: what is behind it would never come to the front.
            if waiting.count > 10 { _ = line.remove(waiting.remove(at: 1 + random.below(9))) }
        }
        #expect(line.count == 10)
        #expect(line.queuedElements <= 3 * (2 * 10 + 17))
    }
}

@Suite("The priority queue")
struct PriorityQueueTests {
    @Test("gives the least element first")
    func order() {
        var random = SplitMix64(seed: 5)
        var queue = PriorityQueue<Int>()
        var numbers: [Int] = []
        for _ in 0..<2_000 {
            if random.chance(percent: 60) {
                let number = random.below(100)
                queue.push(number)
                numbers.append(number)
                numbers.sort()
            } else if random.chance(percent: 10) {
                queue.clean(wanted: numbers.count { $0 % 2 == 0 }) { $0 % 2 == 0 }
                numbers = queue.elements.sorted()
            } else {
                #expect(queue.popFirst() == (numbers.isEmpty ? nil : numbers.removeFirst()))
            }
            #expect(queue.first == numbers.first)
        }
    }

    @Test("drops what is unwanted from its front, and everywhere when it is most of it")
    func clean() {
        var queue = PriorityQueue<Int>()
        for number in 0..<100 { queue.push(number) }
        queue.clean(wanted: 98) { $0 > 1 }
        #expect(queue.first == 2 && queue.count == 98)
        queue.clean(wanted: 3) { $0 == 2 || $0 == 50 || $0 == 99 }
        #expect(queue.elements.sorted() == [2, 50, 99])
        queue.clean(wanted: 0) { _ in false }
        #expect(queue.first == nil && queue.popFirst() == nil)
    }
}

import Foundation
import Routing
import Testing

@testable import Simulation

@Suite("Workloads")
struct WorkloadTests {
    @Test("an agent's next prompt contains its last one and the answer, for the engine and for the router")
    func agentsGrow() throws {
        var workload = AgentsWorkload(1, seconds: 10_000, seed: 4)
        let first = workload.start().first
        var last = try #require(first)
        for _ in 0..<20 {
            let following = workload.ended(last, at: last.arrivesAt + 1, wasAnswered: true)
            let next = try #require(following)
            if next.conversation == last.conversation {
                let common = next.prompt.tokens.commonTokens(with: last.prompt.tokens)
                #expect(common == last.prompt.tokens.count)
                #expect(next.prompt.tokens.segments[last.prompt.tokens.segments.count] == last.answer)
                #expect(next.prompt.chain.commonBytes(with: last.prompt.chain) == last.prompt.chain.length)
                #expect(next.prompt.chain.lastMessageStart == last.prompt.chain.length + 4 * last.answer.tokens)
            } else {
                #expect(next.prompt.chain.commonBytes(with: last.prompt.chain) == 24_000)
                #expect(next.prompt.tokens.commonTokens(with: last.prompt.tokens) == 6000)
            }
            #expect(next.prompt.chain.length == 4 * next.prompt.tokens.count)
            last = next
        }
    }

    @Test("an agent asks the same again when it got no answer")
    func agentsRepeat() throws {
        var workload = AgentsWorkload(1, seconds: 10_000, seed: 4)
        let asked = workload.start().first
        let first = try #require(asked)
        let repeated = workload.ended(first, at: 5, wasAnswered: false)
        let second = try #require(repeated)
        #expect(second.prompt.chain == first.prompt.chain)
        #expect(second.arrivesAt >= 7)
    }

    @Test("links lie at the ends of messages, and inside long ones at growing distances")
    func links() {
        var prompt = PromptBuilder()
        prompt.append(message: 1, tokens: 100)
        prompt.append(message: 2, tokens: 50_000)
        let ends = prompt.chain.links.map { Int($0.end) }
        #expect(ends.prefix(3) == [400, 1424, 2448])
        #expect(ends.last == 200_400 && prompt.chain.length == 200_400 && prompt.chain.lastMessageStart == 400)
        #expect(zip(ends, ends.dropFirst()).allSatisfy { $1 > $0 && $1 - $0 <= max(1024, $0 / 24) })
        #expect(ends.count < 110)
    }

    @Test("requests of a trace share their first blocks, and continue the conversation of the deepest one that is known")
    func trace() {
        let entries: [TraceWorkload.Entry] = [
            .init(milliseconds: 0, promptTokens: 1200, answerTokens: 5, blocks: [0, 1, 2]),
            .init(milliseconds: 10, promptTokens: 1500, answerTokens: 5, blocks: [0, 3, 4]),
            .init(milliseconds: 2000, promptTokens: 1600, answerTokens: 0, blocks: [0, 1, 5, 6]),
        ]
        var workload = TraceWorkload(entries, timeScale: 3, clients: .conversations)
        let requests = workload.start()
        #expect(requests.map(\.arrivesAt) == [0, 0.03, 6])
        #expect(requests[0].conversation == requests[2].conversation && requests[0].conversation != requests[1].conversation)
        #expect(requests[0].client == requests[2].client && requests[0].client != requests[1].client)
        #expect(requests.map(\.prompt.tokens.count) == [1200, 1500, 1600])
        #expect(requests[0].prompt.chain.commonBytes(with: requests[2].prompt.chain) == 4096)
        #expect(requests[0].prompt.tokens.commonTokens(with: requests[1].prompt.tokens) == 512)
        #expect(requests[0].prompt.chain.lastMessageStart == 2048)
        #expect(requests[2].answer.tokens == 1)
    }

    @Test("an open loop asks at its rate, and documents share their system prompt")
    func steady() throws {
        var workload = SteadyWorkload(.documents, perSecond: 5, seconds: 1000, seed: 1)
        let requests = workload.start()
        #expect(abs(requests.count - 5000) < 300)
        #expect(requests[0].prompt.tokens.commonTokens(with: requests[1].prompt.tokens) == 6000)
        #expect(requests.map(\.arrivesAt) == requests.map(\.arrivesAt).sorted())
        #expect(requests.last.map { $0.arrivesAt < 1000 } == true)
    }

    @Test("our logarithm and exponential function are those of the C library")
    func functions() {
        var random = SeededRandom(seed: 1)
        for _ in 0..<1000 {
            let x = random.fraction() * 40 - 20
            #expect(abs(powerOfE(x) / exp(x) - 1) < 1e-12)
            #expect(abs(naturalLogarithm(exp(x)) - x) < 1e-12 * max(1, abs(x)))
        }
        #expect(naturalLogarithm(0) == -.infinity && powerOfE(-1000) == 0)
    }

    @Test("the distributions have their means")
    func distributions() {
        var random = SeededRandom(seed: 2)
        let numbers = 0..<20_000
        let mean = { (sum: Double) in sum / Double(numbers.count) }
        #expect(abs(mean(numbers.reduce(0) { sum, _ in sum + random.exponential(mean: 8) }) - 8) < 0.3)
        #expect(abs(mean(numbers.reduce(0) { sum, _ in sum + random.normal() })) < 0.03)
        #expect(abs(mean(numbers.reduce(0) { sum, _ in sum + random.logNormal(mean: 0, deviation: 0.5) }) - exp(0.125)) < 0.03)
        #expect(numbers.allSatisfy { _ in (3...5).contains(random.integer(in: 3...5)) })
    }

    @Test("the queue gives events in the order of their times, then in the order in which they came")
    func queue() {
        var queue = EventQueue<Int>()
        var random = SeededRandom(seed: 3)
        let times = (0..<500).map { _ in Double(random.integer(in: 0...50)) }
        for (number, time) in times.enumerated() { queue.add(number, at: time) }
        let expected = times.indices.sorted { (times[$0], $0) < (times[$1], $1) }
        var order: [Int] = []
        while let (_, number) = queue.next() { order.append(number) }
        #expect(order == expected && queue.isEmpty)
    }
}

import Routing
import Testing

@testable import Simulation

@Suite("Recorded requests")
struct RecordedWorkloadTests {
    /// Links at these places, each with a hash of its own unless an earlier chain has it.
    private func chain(_ links: [(hash: UInt64, end: UInt32)], length: Int, lastStart: Int) -> PromptChain {
        PromptChain(
            links: links.map { .init(hash: $0.hash, end: $0.end, endsMessage: true) }, length: length, lastMessageStart: lastStart
        )
    }

    private func request(
        at milliseconds: Double, _ prompt: PromptChain, tokens: Int? = nil, answer: Int = 10, client: String = "c",
        model: String = "m"
    ) -> RecordedRequest {
        RecordedRequest(
            milliseconds: milliseconds, client: client, model: model, prompt: prompt, promptTokens: tokens, answerTokens: answer)
    }

    private func requests(_ recorded: [RecordedRequest], timeScale: Double = 1) throws -> [SimulatedRequest] {
        var workload = try RecordedWorkload(recorded, timeScale: timeScale)
        return workload.start()
    }

    /// A system prompt, a question; then the answer and another question.
    private var first: PromptChain { chain([(1, 8000), (2, 8400)], length: 8400, lastStart: 8000) }
    private var second: PromptChain { chain([(1, 8000), (2, 8400), (3, 8800), (4, 9200)], length: 9200, lastStart: 8800) }

    @Test("come when they came, the first one at once, with their clients, models and answers")
    func arrivals() throws {
        let recorded = [
            request(at: 1_000_000, first, answer: 7, client: "a"),
            request(at: 1_002_500, second, answer: 0, client: "b", model: "n"),
        ]
        var workload = try RecordedWorkload(recorded, timeScale: 2)
        #expect(workload.models == ["m", "n"])
        let played = workload.start()
        #expect(played.map(\.arrivesAt) == [0, 5])
        #expect(played.map(\.client) == ["a", "b"] && played.map(\.model) == ["m", "n"])
        #expect(played.map(\.answer.tokens) == [7, 1])
        #expect(workload.ended(played[0], at: 9, wasAnswered: true) == nil)
    }

    @Test("a later turn has the whole prompt before it and its answer, for the engine and for the router")
    func nextTurn() throws {
        let played = try requests([
            request(at: 0, first, tokens: 2000, answer: 90), request(at: 9000, second, tokens: 2200),
        ])
        let (one, two) = (played[0].prompt, played[1].prompt)
        #expect(one.tokens.count == 2000 && two.tokens.count == 2200)
        #expect(two.tokens.commonTokens(with: one.tokens) == 2000)
        #expect(two.tokens.segments[one.tokens.segments.count] == played[0].answer)
        #expect(two.chain == second)
        #expect(played[0].conversation == played[1].conversation)
    }

    @Test("an answer of which most is missing in the next turn is not found in a cache")
    func thoughts() throws {
        let played = try requests([request(at: 0, first, tokens: 2000, answer: 5000), request(at: 9000, second, tokens: 2200)])
        #expect(!played[1].prompt.tokens.segments.contains { $0.content == played[0].answer.content })
        #expect(played[1].prompt.tokens.count == 2200)
    }

    @Test("a shared system prompt is shared, but is no conversation")
    func sharedBeginning() throws {
        let other = chain([(1, 8000), (7, 8100)], length: 8100, lastStart: 8000)
        let played = try requests([request(at: 0, first), request(at: 10, other)])
        #expect(played[0].prompt.tokens.commonTokens(with: played[1].prompt.tokens) == 2000)
        #expect(played[0].prompt.chain.commonLinks(with: played[1].prompt.chain) == 1)
        #expect(played[0].conversation != played[1].conversation)
    }

    @Test("prompts of different models share nothing")
    func models() throws {
        let played = try requests([request(at: 0, first), request(at: 10, first, model: "n"), request(at: 20, first)])
        #expect(played[0].prompt.tokens.commonTokens(with: played[1].prompt.tokens) == 0)
        #expect(played[0].prompt.tokens == played[2].prompt.tokens)
        #expect(played[0].conversation == played[2].conversation && played[0].conversation != played[1].conversation)
    }

    @Test("prompts share what they share although the log has other links of each", arguments: [1, 2, 3] as [UInt64])
    func otherLinks(seed: UInt64) throws {
        // Conversations that begin alike and part; of each prompt, some links are missing.
        var random = SeededRandom(seed: seed)
        var whole: [[UInt64]] = []
        var recorded: [RecordedRequest] = []
        for number in 0..<60 {
            var contents = whole.isEmpty ? [] : Array(whole[random.integer(in: 0...whole.count - 1)])
            contents = Array(contents.prefix(random.integer(in: 0...contents.count + 1)))
            for _ in 0...random.integer(in: 0...3) { contents.append(random.next()) }
            whole.append(contents)
            var (hash, links) = (0 as UInt64, [PromptChain.Link]())
            for (index, content) in contents.enumerated() {
                hash = mixed(hash ^ content)
                guard index % 4 == 0 || index + 3 > contents.count || random.fraction() < 0.5 else { continue }
                links.append(.init(hash: hash, end: UInt32(400 * (index + 1)), endsMessage: true))
            }
            let prompt = PromptChain(links: links, length: 400 * contents.count, lastMessageStart: 400 * (contents.count - 1))
            recorded.append(request(at: Double(number), prompt, tokens: 100 * contents.count, answer: 1))
        }
        let played = try requests(recorded)
        for one in played.indices {
            #expect(played[one].prompt.tokens.count == 100 * whole[one].count)
            for other in played.indices where other < one {
                let same = zip(whole[one], whole[other]).prefix { $0 == $1 }.count
                let hashes = Set(recorded[other].prompt.links.map(\.hash))
                let visible = recorded[one].prompt.links.last { hashes.contains($0.hash) }.map { Int($0.end) / 4 } ?? 0
                let common = played[one].prompt.tokens.commonTokens(with: played[other].prompt.tokens)
                #expect(common >= visible - 1 && common <= 100 * same + 1, "\(one), \(other)")
                #expect(played[one].prompt.chain.commonBytes(with: played[other].prompt.chain) <= 400 * same)
            }
        }
    }

    @Test("what is not known of a prompt is shared with nothing, and its tokens follow from its bytes")
    func unknown() throws {
        let blank = PromptChain(length: 1200)
        let played = try requests([
            request(at: 0, blank), request(at: 1, blank), request(at: 2, first, tokens: 2800),
            request(at: 3, PromptChain(length: 0)),
        ])
        #expect(played[0].prompt.tokens.count == 400, "three bytes a token, as the request that tells it")
        #expect(played[0].prompt.tokens.commonTokens(with: played[1].prompt.tokens) == 0)
        #expect(played[3].prompt.tokens.count == 1)
    }

    @Test("chains that contradict each other end somehow, each prompt with its length", arguments: 1...20 as ClosedRange<UInt64>)
    func contradictions(seed: UInt64) throws {
        // As if many hashes were equal by chance: the same ones at other places and in another order.
        var random = SeededRandom(seed: seed)
        let recorded = (0..<200).map { number in
            var (end, links) = (0 as UInt32, [PromptChain.Link]())
            for _ in 0...random.integer(in: 0...12) {
                end += UInt32(random.integer(in: 0...300))
                links.append(.init(hash: UInt64(random.integer(in: 0...30)), end: end, endsMessage: random.fraction() < 0.5))
            }
            return request(at: Double(number), PromptChain(links: links, length: Int(end) + 100, lastMessageStart: 0))
        }
        let played = try requests(recorded)
        #expect(zip(played, recorded).allSatisfy { $0.prompt.chain.length == $1.prompt.length })
        #expect(played.allSatisfy { $0.prompt.tokens.count > 0 && $0.prompt.chain.links.count <= 100 })
    }

    @Test("more boundaries than fit into memory are refused, with the request from which on they are too many")
    func bounded() throws {
        let recorded = [request(at: 0, first), request(at: 1, second), request(at: 2, second)]
        #expect(throws: RecordedWorkload.TooLarge(request: 2)) { try RecordedWorkload(recorded, mostBoundaries: 9) }
        _ = try RecordedWorkload(recorded, mostBoundaries: 10)
    }

    @Test("what was asked in a simulation and recorded is the same when it is played", arguments: [1, 2] as [UInt64])
    func roundTrip(seed: UInt64) throws {
        var agents = AgentsWorkload(4, seconds: 600, seed: seed)
        var (asked, waiting) = ([SimulatedRequest](), agents.start())
        while let next = waiting.min(by: { $0.arrivesAt < $1.arrivesAt }) {
            asked.append(next)
            waiting.removeAll { $0.loop == next.loop }
            if let following = agents.ended(next, at: next.arrivesAt + 3, wasAnswered: true) { waiting.append(following) }
        }
        #expect(asked.count > 100)
        let recorded = asked.map {
            request(
                at: $0.arrivesAt * 1000, $0.prompt.chain, tokens: $0.prompt.tokens.count, answer: $0.answer.tokens,
                client: $0.client)
        }
        let played = try requests(recorded)
        for (one, other) in zip(asked, played) {
            #expect(one.prompt.chain == other.prompt.chain && one.prompt.tokens.count == other.prompt.tokens.count)
        }
        let setup = SimulatorTests.setup([3000, 1500], .cacheAware)
        let (original, again) = (
            Simulator.play(Fixed(requests: asked), setup), Simulator.play(Fixed(requests: played), setup)
        )
        #expect(again.requests == original.requests && original.cacheHitRatio > 0.8)
        #expect(abs(again.cacheHitRatio - original.cacheHitRatio) < 0.01)
        #expect(abs(again.ttftMeanSeconds / original.ttftMeanSeconds - 1) < 0.05)
    }

    @Test("every server has every model that was asked for")
    func allModels() throws {
        let recorded = (0..<20).map { number in
            request(at: Double(number) * 100, first, tokens: 2000, model: number % 2 == 0 ? "m" : "n")
        }
        let report = Simulator.play(try RecordedWorkload(recorded), SimulatorTests.setup([2000, 2000], .expectedCost))
        #expect(report.requests == 20 && report.refused == 0)
    }
}

/// An open loop of given requests.
private struct Fixed: Workload {
    let requests: [SimulatedRequest]

    mutating func start() -> [SimulatedRequest] { requests }
}

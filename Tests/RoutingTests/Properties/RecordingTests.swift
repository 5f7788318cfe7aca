import Foundation
import Testing

@testable import Routing

@Suite("A recording")
struct RecordingTests {
    @Test("has the same effects when it is replayed, also after it was written to a file", arguments: 1...5)
    func replays(seed: UInt64) throws {
        var life = RandomLife(seed: seed)
        life.live(events: 1_200)
        life.end()
        let bytes = try JSONEncoder().encode(life.recording)
        let read = try JSONDecoder().decode(Recording.self, from: bytes)
        #expect(read.isComplete)
        var effects: [[Effect]] = []
        read.replay { effects.append($1) }
        #expect(effects.count > 900)
        #expect(effects == life.effects)
    }

    @Test("keeps the first events when there are more than its limit, and says so")
    func limit() {
        var life = RandomLife(seed: 9)
        life.live(events: 500)
        var short = Recording(limit: 100)
        for step in life.recording.steps { short.record(step.event, at: step.at) }
        #expect(short.steps.count == 100 && !short.isComplete)
        var effects: [[Effect]] = []
        short.replay { effects.append($1) }
        #expect(effects == Array(life.effects.prefix(100)))
    }

    @Test("keeps no more boundaries of prompts than it may, and nothing after the first event that is missing")
    func links() {
        let links = (1...4_000).map { PromptChain.Link(hash: UInt64($0), end: UInt32($0), endsMessage: true) }
        let prompt = PromptChain(links: links, length: 4_000, lastMessageStart: 0)
        var recording = Recording(limit: 10_000)
        for number in 0..<1_010 {
            let traits = RequestTraits(destination: .model("m"), client: "c", counts: true, prompt: prompt)
            recording.record(.requestArrived(Ticket(owner: 0, sequence: UInt64(number)), traits), at: .zero)
        }
        recording.record(.probeFailed(BackendID(rawValue: 1), reason: "x"), at: .zero)
        #expect(recording.steps.count == Recording.mostLinks / 4_000 && !recording.isComplete)
    }

    @Test("gives back the router as it was at the end")
    func router() {
        var life = RandomLife(seed: 4)
        life.live(events: 500)
        var again = life.recording.replay()
        var known = life.router
        let end = life.recording.steps.last?.at ?? .zero
        let (seen, expected) = (again.snapshot(at: end), known.snapshot(at: end))
        #expect(seen.runningCount == expected.runningCount && seen.waitingCount == expected.waitingCount)
        #expect(seen.sessions.map(\.client) == expected.sessions.map(\.client))
    }
}

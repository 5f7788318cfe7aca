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

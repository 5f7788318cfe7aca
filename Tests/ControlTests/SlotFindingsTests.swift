import Proxy
import Routing
import Testing

@testable import Control

@Suite("How often the slots of a llama-server are counted")
struct SlotFindingsTests {
    /// Seconds at which they were counted, asked every 5 s for `hours`.
    private func counts(hours: Int, busy: (Int) -> Int = { _ in 0 }, used: (Int) -> Bool = { _ in false }) -> [Int] {
        var slots = EngineFindings.SlotFindings()
        var counted: [Int] = []
        for second in stride(from: 0, to: hours * 3600, by: 5) {
            let now = Moment.zero + .seconds(Int64(second))
            if used(second) { slots.used(at: now) }
            guard slots.mayCount(at: now) else { continue }
            counted.append(second)
            slots.counted(busy: busy(second), at: now)
        }
        return counted
    }

    @Test("a server that nobody uses is asked less and less, so that it can fall asleep")
    func quiet() {
        let counted = counts(hours: 6)
        #expect(counted.prefix(5) == [0, 5, 15, 35, 75])
        let gaps = zip(counted, counted.dropFirst()).map { $1 - $0 }
        #expect(gaps == gaps.sorted() && gaps.last == 1800)
        // For each time after which a server may fall asleep, there is such a gap within twice that time.
        for idle in [10, 60, 300, 900] { #expect(zip(counted, gaps).contains { $1 > idle && $0 <= 2 * idle }) }
    }

    @Test("while others use it, and when this balancer has used it, it is asked every 5 s again")
    func used() {
        let foreign = counts(hours: 1, busy: { $0 > 1000 ? 1 : 0 })
        #expect(foreign.suffix(2) == [3590, 3595])
        let own = counts(hours: 1, used: { $0 == 3000 })
        #expect(own.contains(3000) && own.contains(3005) && own.contains(3015))
    }
}

import Testing

@testable import Routing

@Suite("How many requests an engine computes at once")
struct ParallelRequestsTests {
    /// The limit after the beginnings of some streams.
    private func limit(_ begun: [(generating: Int, waited: Bool, isLate: Bool)]) -> Int? {
        var parallel = ParallelRequests()
        for stream in begun { parallel.began(generating: stream.generating, waited: stream.waited, isLate: stream.isLate) }
        return parallel.limit
    }

    @Test("four streams in a row that had to wait while as many ran as ever tell the number")
    func found() {
        let waited = (generating: 2, waited: true, isLate: true)
        let usual = [(1, false, false), (2, false, false)]
        #expect(limit(usual + Array(repeating: waited, count: 3)) == nil)
        #expect(limit(usual + Array(repeating: waited, count: 4)) == 2)
        #expect(limit(usual + [waited, waited, (1, false, false), waited, waited]) == 2, "one that found a place says nothing")
    }

    @Test("what was late at another number was not late for want of a place")
    func otherwiseLate() {
        let waited = (generating: 3, waited: true, isLate: true)
        #expect(limit([(3, false, false), waited, waited, waited, (2, true, true), waited]) == nil)
        #expect(limit([(3, false, false), waited, waited, waited, (1, false, true), waited]) == nil)
        #expect(limit([(3, false, false), waited, waited, waited, (4, false, true), waited]) == nil, "there was a place")
    }

    @Test("one more is tried after some answers, the later the oftener it had to wait")
    func tried() {
        var parallel = ParallelRequests()
        for _ in 0..<5 { parallel.began(generating: 1, waited: true, isLate: true) }
        var answersUntilTried: [Int] = []
        for _ in 0..<10 {
            var answers = 0
            while parallel.limit == 1 {
                parallel.answered()
                answers += 1
            }
            answersUntilTried.append(answers)
            parallel.began(generating: 1, waited: true, isLate: true)
        }
        #expect(answersUntilTried == [32, 64, 128, 256, 512, 1024, 2048, 4096, 4096, 4096])
        for _ in 0..<4096 { parallel.answered() }
        parallel.began(generating: 2, waited: false, isLate: false)
        #expect(parallel.limit == nil, "the engine has got more places")
    }

    /// An engine that computes so many requests at a time, and tells nothing of it, beside one that is drained.
    private struct Engine {
        var scene: PricedScene
        let places: Int
        var running: [Ticket] = []
        var waiting: [Ticket] = []
        private var number = 0

        init(places: Int, slots: Int = 0) {
            scene = PricedScene([.init(name: "A", slots: slots)])
            self.places = places
        }

        mutating func ask() {
            number += 1
            let asked = scene.ask(TestPrompt((number, 1000)), client: "\(number)")
            guard asked.server != nil else { return }
            waiting.append(asked.ticket)
            start()
        }

        private mutating func start() {
            guard running.count < places, !waiting.isEmpty else { return }
            scene.pass(0.5)
            running.append(waiting.removeFirst())
            _ = scene.begin(running[running.count - 1])
        }

        /// The oldest answer ends.
        mutating func end() {
            scene.pass(5)
            waiting += scene.finish(running.removeFirst()).granted
            start()
        }

        var limit: Int? { scene.scene.router.backends[0].limit }
    }

    @Test("an engine that lets requests wait is found out, and gets no more than it computes", arguments: [1, 2, 4])
    func throughRouter(places: Int) {
        var engine = Engine(places: places)
        for _ in 0..<places + 1 { engine.ask() }
        for _ in 0..<12 {
            engine.end()
            engine.ask()
        }
        #expect(engine.limit == places)
        #expect(engine.scene.scene.router.backends[0].inFlight <= places)
    }

    @Test("an engine that batches whatever comes has no limit, and one that tells its slots has those")
    func unlimited() {
        var engine = Engine(places: 1000)
        for _ in 0..<20 { engine.ask() }
        for _ in 0..<12 {
            engine.end()
            engine.ask()
        }
        #expect(engine.limit == nil)
        var told = Engine(places: 2, slots: 3)
        for _ in 0..<3 { told.ask() }
        for _ in 0..<12 {
            told.end()
            told.ask()
        }
        #expect(told.limit == 3)
    }
}

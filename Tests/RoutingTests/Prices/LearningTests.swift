import Testing

@testable import Routing

@Suite("What requests teach")
struct LearningTests {
    private func figures(_ scene: PricedScene) -> EngineFigures { scene.scene.router.backends[0].served[1].figures }

    private func job(sentAt: Double = 10, prefill: Double = 2, isStream: Bool = true) -> Job {
        Job(
            ticket: Ticket(owner: 0, sequence: 1), served: 0, seat: nil, sequence: nil, isStream: isStream, answerTokens: 100,
            promptTokens: 5000, matchedTokens: 1000, prefillSeconds: prefill, expectedSeconds: prefill, sentAt: sentAt,
            prefillEnd: sentAt + prefill, firstByteAt: nil, isAlone: true, isQuiet: true, mostStreams: 1, movedTokens: 0,
            loaded: nil)
    }

    @Test("a prompt is computed until its first token comes, and what is overdue takes as long again, at least a tenth")
    func prefillLeft() {
        var job = job()
        #expect(job.newTokens == 4000)
        #expect(job.prefillLeft(at: 10) == 2 && job.prefillLeft(at: 11.5) == 0.5)
        #expect(job.prefillLeft(at: 12) == 0.2 && job.prefillLeft(at: 12.1) == 0.2)
        #expect(job.prefillLeft(at: 15) == 3 && job.prefillLeft(at: 100) == 88)
        job.firstByteAt = 11
        #expect(job.prefillLeft(at: 11) == 0 && !job.isPrefilling(at: 11))
        #expect(self.job(isStream: false).prefillLeft(at: 13) == 0, "without a stream, the first token is not seen")
    }

    @Test("an answer always has the largest part of what is expected before it")
    func answerLeft() {
        var job = job()
        #expect(job.answerLeft(at: 11, tokenTime: 0.1) == 100)
        job.firstByteAt = 12
        #expect(abs(job.answerLeft(at: 13, tokenTime: 0.1) - 90) < 1e-9)
        #expect(job.answerLeft(at: 1000, tokenTime: 0.1) == 80)
        #expect(job.answerLeft(at: 1000, tokenTime: 0) == 80)
    }

    @Test("the use of slots is remembered for half of the time of a conversation")
    func occupancy() {
        var occupancy = Occupancy()
        #expect(occupancy.value(at: 1000, conversationTime: 180) == 0)
        occupancy.became(1, at: 1000, conversationTime: 180)
        #expect(abs(occupancy.value(at: 1090, conversationTime: 180) - (1 - Exponential.decay(1))) < 1e-9)
        occupancy.became(0, at: 1090, conversationTime: 180)
        #expect(abs(occupancy.value(at: 1180, conversationTime: 180) - (1 - Exponential.decay(1)) * Exponential.decay(1)) < 1e-9)
    }

    @Test("a request is alone only if nothing else ran before its first token, and quiet only if nothing came later")
    func companions() {
        var scene = PricedScene("A", slots: 3)
        func jobs() -> [Job] { scene.scene.router.backends[0].jobs }
        let first = scene.ask(TestPrompt((1, 1000)), client: "1").ticket
        #expect(jobs()[0].isAlone && jobs()[0].isQuiet)
        _ = scene.begin(first)
        _ = scene.ask(TestPrompt((2, 1000)), client: "2")
        #expect(jobs().map(\.isAlone) == [true, false] && jobs().map(\.isQuiet) == [false, true])
        _ = scene.ask(TestPrompt((3, 1000)), client: "3")
        #expect(jobs().map(\.mostStreams) == [3, 3, 3] && jobs().map(\.isQuiet) == [false, false, true])
        _ = scene.begin(jobs()[2].ticket)
        #expect(!jobs()[2].isQuiet, "the second prompt is being computed")
    }

    @Test("a cache that is not there does not make a busy machine look slower")
    func wrongBelief() {
        var scene = PricedScene("A", slots: 2)
        let speed = figures(scene).prefillSpeed ?? 0
        for round in 0..<20 {
            scene.play(TestPrompt((round, 20_000)), client: "c")
            let other = scene.ask(TestPrompt((100 + round, 100)), client: "other").ticket
            let asked = scene.ask(TestPrompt((round, 20_000), (50, 500)), client: "c")
            #expect(asked.effects.grant(of: asked.ticket)?.cache?.result == .hit)
            // All of it had to be computed, at nearly the usual speed.
            let timings = Timings(
                cachedTokens: 0, promptTokens: 20_500, promptMilliseconds: 11_000, predictedTokens: 10, predictedMilliseconds: 100
            )
            _ = scene.scene.happens(.finished(asked.ticket, Outcome(.complete, timings: timings)))
            _ = scene.finish(other)
            #expect(figures(scene).prefillSpeed ?? 0 > 0.9 * speed)
        }
    }

    @Test("a machine that always generates answers and has become slower is found out through its prompts")
    func slowerMachine() {
        var scene = PricedScene("A", slots: 2)
        for round in 0..<20 {
            let other = scene.ask(TestPrompt((100 + round, 100)), client: "other").ticket
            _ = scene.begin(other)
            let asked = scene.ask(TestPrompt((round, 20_000)), client: "c").ticket
            let slow = Timings(
                cachedTokens: 0, promptTokens: 20_000, promptMilliseconds: 40_000, predictedTokens: 10, predictedMilliseconds: 100
            )
            _ = scene.scene.happens(.finished(asked, Outcome(.complete, timings: slow)))
            _ = scene.finish(other)
        }
        #expect(figures(scene).prefillSpeed.map { abs($0 - 500) < 100 } ?? false)
    }

    @Test(
        "the prompt of an attempt that failed is not believed to be there, and its client is not charged; a client that left leaves it",
        arguments: [1, 0])
    func failedAttempt(slots: Int) {
        let prompt = TestPrompt((1, 8000))
        func found(_ end: (inout PricedScene, Ticket) -> Void) -> (tokens: Double, service: Double) {
            var scene = PricedScene("A", "B", slots: slots)
            _ = scene.scene.happens(.drain(Scene.id(2)))
            let asked = scene.ask(prompt)
            end(&scene, asked.ticket)
            let habits = scene.scene.router.habits
            var copy = habits
            return (
                scene.price(prompt, on: 0).matchedTokens, habits.service(of: copy.client("c", at: 1), at: 1)
            )
        }
        let failed = found { scene, ticket in _ = scene.scene.happens(.attemptFailed(ticket, .connect("refused"))) }
        #expect(failed.tokens == 0 && failed.service < 1)
        #expect(found { scene, ticket in _ = scene.scene.happens(.finished(ticket, Outcome(.broken("reset")))) }.tokens == 0)
        let left = found { scene, ticket in _ = scene.scene.happens(.requestCancelled(ticket)) }
        #expect(left.tokens > 7000 && left.service > 7000)
    }

    @Test("the forecast says whether the conversation was there, elsewhere, or nowhere")
    func forecast() {
        var scene = PricedScene("A", "B", slots: 2)
        func result(_ prompt: TestPrompt) -> CacheForecast.Result? {
            let asked = scene.ask(prompt)
            _ = scene.finish(asked.ticket)
            return asked.effects.grant(of: asked.ticket)?.cache?.result
        }
        #expect(result(TestPrompt((1, 2000))) == .miss)
        #expect(result(TestPrompt((1, 2000), (2, 100))) == .hit)
        _ = scene.scene.happens(.drain(Scene.id(1)))
        #expect(result(TestPrompt((1, 2000), (2, 100), (3, 100))) == .moved)
        #expect(result(TestPrompt((1, 2000), (2, 100), (3, 100), (4, 10))) == .hit)
        let unknown = scene.ask(nil)
        #expect(unknown.effects.grant(of: unknown.ticket).map { $0.cache == nil } ?? false)
    }

    @Test("a kept prompt that was not there any more tells how much the engine keeps")
    func capacity() {
        var scene = PricedScene("A")
        func belief() -> CacheBelief { scene.scene.router.backends[0].served[1].cache }
        for number in 0..<6 { scene.play(TestPrompt((number, 10_000)), client: "\(number)") }
        let asked = scene.ask(TestPrompt((0, 10_000), (9, 100)), client: "0")
        #expect(asked.effects.grant(of: asked.ticket)?.cache?.tokens == 10_000)
        _ = scene.finish(asked.ticket, cached: 0, prompt: 10_100)
        // Those that were kept later may be there, with their answers.
        #expect(belief().capacity == 40_000)
        let found = scene.ask(TestPrompt((4, 10_000), (9, 100)), client: "4")
        _ = scene.finish(found.ticket, cached: 10_000, prompt: 100)
        #expect(belief().provenCapacity == 20_000 && belief().capacity == 40_000)
        let more = scene.ask(TestPrompt((70, 10_000)), client: "5")
        _ = scene.finish(more.ticket, cached: 9000, prompt: 1000)
        #expect(belief().capacity == 60_000)
    }

    @Test("after an unknown prompt, its slot is not empty: the engine loads what it kept")
    func afterUnknown() {
        var scene = PricedScene("A", "B")
        _ = scene.scene.happens(.drain(Scene.id(2)))
        scene.play(TestPrompt((1, 8000)))
        _ = scene.finish(scene.ask(nil).ticket)
        let back = scene.ask(TestPrompt((1, 8000), (2, 200)))
        #expect(back.effects.grant(of: back.ticket)?.cache?.tokens == 8000)
        #expect(scene.scene.router.backends[0].served[1].cache.kept.isEmpty)
    }
}

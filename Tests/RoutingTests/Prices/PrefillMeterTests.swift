import Testing

@testable import Routing

@Suite("Measuring a server that computes several prompts")
struct PrefillMeterTests {
    private typealias Sample = PrefillMeter.Sample

    @Test("prompts that were computed together took the time until the last one began to answer")
    func together() {
        var meter = PrefillMeter()
        meter.restart(open: 0, at: 10)
        let first = meter.answerBegan(tokens: 3000, open: 2000, at: 12)
        let second = meter.answerBegan(tokens: 2000, open: 0, at: 15)
        #expect(first == second)
        #expect(meter.ended(first, tokens: 3500) == nil, "the other one has not reported yet")
        #expect(
            meter.ended(second, tokens: 2500) == Sample(tokens: 6000, seconds: 5),
            "what they report counts, not what was expected")
        #expect(meter.ended(second, tokens: 2500) == nil, "counted once")
    }

    @Test("nothing is learned from short prompts, or when a request does not report what it computed")
    func void() {
        var meter = PrefillMeter()
        meter.restart(open: 0, at: 0)
        #expect(meter.ended(meter.answerBegan(tokens: 1000, open: 0, at: 1), tokens: 1000) == nil)
        meter.restart(open: 0, at: 1)
        let first = meter.answerBegan(tokens: 5000, open: 5000, at: 2)
        let second = meter.answerBegan(tokens: 5000, open: 0, at: 3)
        #expect(meter.ended(first, tokens: nil) == nil && meter.ended(second, tokens: 5000) == nil)
        #expect(meter.ended(7, tokens: 5000) == nil, "no such span")
    }

    @Test("the speed is found within an eighth although there is always a prompt under way", arguments: [0.0, 0.5, 1])
    func endless(progress: Double) throws {
        // Of the 4000 tokens that are always under way, this part has been computed whenever a request begins to answer.
        var meter = PrefillMeter()
        meter.restart(open: 0, at: 0)
        var (computed, spans, speeds) = (0.0, [UInt32](), [Double]())
        for _ in 0..<40 {
            computed += 4000
            let now = (computed + 4000 * progress) / 1000
            spans.append(meter.answerBegan(tokens: 4000, open: 4000, at: now))
        }
        for span in spans {
            if let sample = meter.ended(span, tokens: 4000) { speeds.append(sample.tokens / sample.seconds) }
        }
        #expect(!speeds.isEmpty)
        #expect(speeds.allSatisfy { abs($0 - 1000) <= 125 }, "\(speeds)")
    }

    @Test("answers that never end take no memory")
    func bounded() {
        var meter = PrefillMeter()
        let spans = (0..<1000).map { number in
            meter.restart(open: 0, at: Double(number))
            return meter.answerBegan(tokens: 5000, open: 0, at: Double(number) + 0.5)
        }
        let samples = spans.compactMap { meter.ended($0, tokens: 5000) }
        #expect(!samples.isEmpty && samples.count <= 8)
    }

    // MARK: In the router

    private func speed(_ scene: PricedScene) -> Double? { scene.scene.router.backends[0].served[1].figures.prefillSpeed }

    private func server(slots: Int = 3) -> PricedScene { PricedScene([.init(name: "A", slots: slots, speed: nil)]) }

    /// It has computed 10,000 tokens in ten seconds.
    private func finish(_ request: Ticket, _ scene: inout PricedScene) {
        let timings = Timings(
            cachedTokens: 0, promptTokens: 10_000, promptMilliseconds: 10_000, predictedTokens: 10, predictedMilliseconds: 100)
        _ = scene.scene.happens(.finished(request, Outcome(.complete, timings: timings)))
    }

    @Test("the speed of a server that is never alone is known after its first prompts")
    func learned() {
        var scene = server()
        let requests = (0..<3).map { scene.ask(TestPrompt(($0, 10_000)), client: "\($0)").ticket }
        for request in requests {
            scene.scene.pass(.seconds(10))
            _ = scene.begin(request)
        }
        for request in requests.dropLast() { finish(request, &scene) }
        #expect(speed(scene) == nil, "one of them may have been cached")
        finish(requests[2], &scene)
        #expect(speed(scene) == 1000)
    }

    @Test("what a cancelled request computed is not known, so it teaches nothing")
    func cancelled() {
        var scene = server()
        let requests = (0..<3).map { scene.ask(TestPrompt(($0, 10_000)), client: "\($0)").ticket }
        scene.scene.pass(.seconds(10))
        _ = scene.begin(requests[0])
        _ = scene.scene.happens(.requestCancelled(requests[1]))
        scene.scene.pass(.seconds(10))
        _ = scene.begin(requests[2])
        for request in [requests[0], requests[2]] { finish(request, &scene) }
        #expect(speed(scene) == nil)
    }

    @Test("beside a request without a stream, nobody sees when its prompt is done")
    func withoutStream() {
        var scene = server()
        let first = scene.ask(TestPrompt((0, 10_000)), client: "0").ticket
        let whole = Ticket(owner: 0, sequence: 1)
        let traits = RequestTraits(destination: .model("m"), client: "1", prompt: TestPrompt((1, 10_000)).chain)
        _ = scene.scene.happens(.requestArrived(whole, traits))
        scene.scene.pass(.seconds(10))
        _ = scene.begin(first)
        scene.scene.pass(.seconds(90))
        _ = scene.begin(whole)
        for request in [first, whole] { finish(request, &scene) }
        #expect(speed(scene) == nil)
    }
}

@testable import Simulation

/// One engine with 2,000 prompt tokens a second and two slots, and what it said.
struct EngineScene {
    var engine: SimulatedEngine
    private(set) var now = 0.0
    private(set) var firstAt: [Int: Double] = [:]
    private(set) var endAt: [Int: Double] = [:]
    private(set) var timings: [Int: EngineTimings] = [:]
    private var asked: [Int: Double] = [:]

    static let speed = 2000.0
    /// Seconds for a token of a single stream.
    static let token = 30 / speed

    init(slots: Int = 2, cacheTokens: Int = 300_000) {
        engine = SimulatedEngine(.init(prefillTokensPerSecond: Self.speed, slots: slots, cacheTokens: cacheTokens))
    }

    /// Contents with their lengths, as a prompt.
    static func prompt(_ parts: (content: UInt64, tokens: Int)...) -> TokenSequence {
        var prompt = TokenSequence()
        for part in parts { prompt.append(.init(content: part.content, tokens: part.tokens)) }
        return prompt
    }

    /// Asks, without waiting. The answer's content is `id` + 1000.
    mutating func ask(_ id: Int, _ prompt: TokenSequence, answer tokens: Int) {
        asked[id] = now
        engine.submit(EngineJob(id: id, prompt: prompt, answer: .init(content: UInt64(id) + 1000, tokens: tokens)), at: now)
    }

    /// Asks, and waits until everything is answered.
    mutating func play(_ id: Int, _ prompt: TokenSequence, answer tokens: Int) {
        ask(id, prompt, answer: tokens)
        finish()
    }

    mutating func finish() {
        while let next = engine.nextEventAt { step(next) }
    }

    /// Time passes.
    mutating func pass(until end: Double) {
        while let next = engine.nextEventAt, next <= end { step(next) }
        now = end
    }

    private mutating func step(_ next: Double) {
        now = next
        var news: [EngineNews] = []
        engine.advance(at: now, &news)
        for piece in news {
            switch piece {
            case .began(let id):
                precondition(firstAt.updateValue(now, forKey: id) == nil, "two beginnings of \(id)")
            case .finished(let id, let told):
                precondition(endAt.updateValue(now, forKey: id) == nil, "two ends of \(id)")
                timings[id] = told
            }
        }
    }

    /// From the question to the first token.
    func ttft(_ id: Int) -> Double { (firstAt[id] ?? .nan) - (asked[id] ?? 0) }
    /// From the question to the end.
    func total(_ id: Int) -> Double { (endAt[id] ?? .nan) - (asked[id] ?? 0) }
}

/// Equal but for what sums of fractions lose.
func isNear(_ one: Double, _ other: Double) -> Bool { abs(one - other) < 1e-6 }

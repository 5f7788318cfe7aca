import NIOCore
import Simulation
import Wire

/// One llama-server: a simulated engine that runs by the scaled clock and tells the connections what it has generated.
final class Machine {
    /// What it did, for the report.
    struct Totals {
        var answers = 0
        var cancelled = 0
        var promptTokens = 0
        var cachedTokens = 0
        var predictedTokens = 0

        mutating func add(_ timings: EngineTimings) {
            answers += 1
            promptTokens += timings.promptTokens
            cachedTokens += timings.cachedTokens
            predictedTokens += timings.predictedTokens
        }
    }

    /// Text is sent at least this often, in real time: seldom enough that it costs little, often enough that nobody measures it.
    private static let pieceInterval = TimeAmount.milliseconds(20)
    static let contextTokens = 131_072

    let name: String
    var totals = Totals()
    private(set) var engine: SimulatedEngine
    private let clock: ScaledClock
    private let loop: any EventLoop
    private var readers: [Int: any AnswerReader] = [:]
    private var lastJob = 0
    private var timer: Scheduled<Void>?

    init(_ model: EngineModel, name: String, clock: ScaledClock, loop: any EventLoop) {
        self.name = name
        self.clock = clock
        self.loop = loop
        engine = SimulatedEngine(model)
    }

    var slots: Int { engine.model.slots }

    var report: JSON {
        [
            "name": .string(name), "answers": JSON(totals.answers), "cancelled": JSON(totals.cancelled),
            "prompt_tokens": JSON(totals.promptTokens), "cached_tokens": JSON(totals.cachedTokens),
            "predicted_tokens": JSON(totals.predictedTokens),
        ]
    }

    /// Takes a job; the reader hears of it until it has ended or is cancelled.
    func submit(prompt: TokenSequence, answer: TokenSequence.Segment, reader: any AnswerReader) -> Int {
        catchUp()
        lastJob += 1
        readers[lastJob] = reader
        engine.submit(EngineJob(id: lastJob, prompt: prompt, answer: answer), at: clock.now)
        schedule()
        return lastJob
    }

    /// The client has gone.
    func cancel(_ job: Int) {
        guard readers.removeValue(forKey: job) != nil else { return }
        totals.cancelled += 1
        catchUp()
        engine.cancel(job, at: clock.now)
        schedule()
    }

    /// Plays the engine up to the present, and passes on what it has.
    private func catchUp() {
        let now = clock.now
        var news: [EngineNews] = []
        while let next = engine.nextEventAt, next <= now { engine.advance(at: next, &news) }
        for piece in news {
            switch piece {
            case .began(let job): readers[job]?.generated(1)
            case .finished(let job, let timings):
                totals.add(timings)
                readers.removeValue(forKey: job)?.finished(RealTimings(timings, scale: clock.scale))
            }
        }
        for (job, tokens) in engine.generated(at: now) { readers[job]?.generated(tokens) }
    }

    private func schedule() {
        timer?.cancel()
        timer = nil
        guard let next = engine.nextEventAt else { return }
        let piece = engine.generated(at: clock.now).isEmpty ? nil : NIODeadline.now() + Self.pieceInterval
        let deadline = min(clock.deadline(next), piece ?? .distantFuture)
        timer = loop.assumeIsolated().scheduleTask(deadline: deadline) {
            self.catchUp()
            self.schedule()
        }
    }
}

/// Who hears of a job.
protocol AnswerReader: AnyObject {
    /// So many tokens are there; 1 for the first time when the prompt has been read.
    func generated(_ tokens: Int)
    func finished(_ timings: RealTimings)
}

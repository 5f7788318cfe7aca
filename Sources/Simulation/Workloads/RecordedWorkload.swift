package import Routing

/// A request of the balancer's access log, or of a recording of the router's events.
package struct RecordedRequest: Sendable, Equatable {
    /// When it arrived, from any zero point.
    package var milliseconds: Double
    package var client: String
    package var model: String
    /// With all its links, or with a part of them.
    package var prompt: PromptChain
    /// Cached ones, too; nil when the engine did not say.
    package var promptTokens: Int?
    package var answerTokens: Int
    /// Its class; a simulated request is `normal` at most.
    package var priority: PriorityClass?

    package init(
        milliseconds: Double, client: String, model: String, prompt: PromptChain, promptTokens: Int?, answerTokens: Int,
        priority: PriorityClass? = nil
    ) {
        self.milliseconds = milliseconds
        self.client = client
        self.model = model
        self.prompt = prompt
        self.promptTokens = promptTokens
        self.answerTokens = answerTokens
        self.priority = priority
    }
}

/// What was asked of a balancer, asked again. The requests come when they came: a later turn of a conversation does not wait for the
/// answer before it, which may come earlier or later than it did.
package struct RecordedWorkload: Workload {
    /// The prompts have more boundaries than `mostBoundaries`.
    package struct TooLarge: Error, Equatable {
        /// The first request that does not fit, counted from 0.
        package var request: Int
    }

    /// Of all prompts together: some hundred megabytes in memory.
    package static let mostBoundaries = 10_000_000

    package let models: [String]
    private let requests: [SimulatedRequest]

    /// - Parameters:
    ///   - recorded: in order of time. The first one comes at once.
    ///   - timeScale: multiplies the times: 2 is half the load.
    package init(
        _ recorded: [RecordedRequest], timeScale: Double = 1, mostBoundaries: Int = mostBoundaries
    ) throws(TooLarge) {
        var prompts = RecordedPrompts(recorded)
        let start = recorded.first?.milliseconds ?? 0
        var requests: [SimulatedRequest] = []
        requests.reserveCapacity(recorded.count)
        var boundaries = 0
        for (number, request) in recorded.enumerated() {
            let (prompt, conversation) = prompts.prompt(of: number)
            boundaries += prompt.chain.links.count
            guard boundaries <= mostBoundaries else { throw TooLarge(request: number) }
            requests.append(
                SimulatedRequest(
                    arrivesAt: (request.milliseconds - start) / 1000 * timeScale, client: request.client, model: request.model,
                    conversation: UInt64(conversation), prompt: prompt, answer: prompts.answer(of: number),
                    priority: request.priority))
        }
        self.requests = requests
        models = prompts.models
    }

    package mutating func start() -> [SimulatedRequest] { requests }
}

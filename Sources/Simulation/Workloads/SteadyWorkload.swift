/// An open loop: requests that do not wait for each other, with exponentially distributed pauses, and have little in common.
package struct SteadyWorkload: Workload {
    /// What is asked.
    package struct Shape: Sendable, Equatable {
        /// The beginning that all prompts share; 0: nothing.
        package var sharedTokens: Int
        /// What only this prompt has.
        package var ownTokens: ClosedRange<Int>
        /// The answer's length: log-normal, cut to the range.
        package var answerLogMean: Double
        package var answerDeviation: Double
        package var answerTokens: ClosedRange<Int>

        /// Questions with one long system prompt, as a search over documents asks them.
        package static let documents = Shape(
            sharedTokens: 6000, ownTokens: 50...400, answerLogMean: 5, answerDeviation: 0.6, answerTokens: 5...800)
        /// Prompts that nobody asked before.
        package static let unique = Shape(
            sharedTokens: 0, ownTokens: 500...8000, answerLogMean: 5, answerDeviation: 0.6, answerTokens: 5...800)
        /// Short questions, short answers.
        package static let chats = Shape(
            sharedTokens: 50, ownTokens: 20...300, answerLogMean: 4.5, answerDeviation: 0.6, answerTokens: 5...500)
    }

    private let shape: Shape
    private let perSecond: Double
    private let seconds: Double
    private let clients: Int
    private let seed: UInt64

    /// - Parameter clients: how many different ones ask, by chance.
    package init(_ shape: Shape, perSecond: Double, seconds: Double, clients: Int = 16, seed: UInt64) {
        self.shape = shape
        self.perSecond = perSecond
        self.seconds = seconds
        self.clients = max(1, clients)
        self.seed = seed
    }

    package mutating func start() -> [SimulatedRequest] {
        guard perSecond > 0 else { return [] }
        var random = SeededRandom(seed: seed, part: 1 << 40)
        var requests: [SimulatedRequest] = []
        var time = random.exponential(mean: 1 / perSecond)
        while time < seconds {
            let conversation = mixed(seed &+ UInt64(requests.count) &* 0x9E37_79B9_7F4A_7C15)
            var prompt = PromptBuilder()
            if shape.sharedTokens > 0 { prompt.append(message: 2, tokens: shape.sharedTokens) }
            prompt.append(message: conversation, tokens: random.integer(in: shape.ownTokens))
            let answer = random.tokens(
                logMean: shape.answerLogMean, deviation: shape.answerDeviation, in: shape.answerTokens)
            requests.append(
                SimulatedRequest(
                    arrivesAt: time, client: "user-\(random.integer(in: 0...clients - 1))", conversation: conversation,
                    prompt: prompt, answer: .init(content: mixed(conversation), tokens: answer)))
            time += random.exponential(mean: 1 / perSecond)
        }
        return requests
    }
}

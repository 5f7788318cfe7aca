/// Coding agents: each sends its grown conversation again after every tool call, and waits for the answer before the next one.
package struct AgentsWorkload: Workload {
    /// All agents share it: descriptions of tools and the like.
    private static let systemTokens = 6000
    /// Longer conversations end.
    private static let longestTokens = 110_000

    private var agents: [Agent]
    /// After that, nothing new is asked.
    private let end: Double

    /// - Parameters:
    ///   - seconds: how long the agents work.
    ///   - haveAddresses: each has its own; otherwise they share one, as behind a gateway.
    package init(_ count: Int, seconds: Double, seed: UInt64, haveAddresses: Bool = true) {
        end = seconds
        agents = (0..<max(0, count)).map {
            Agent(number: $0, seed: seed, client: haveAddresses ? "agent-\($0)" : "agents")
        }
    }

    package mutating func start() -> [SimulatedRequest] {
        agents.indices.compactMap { number in
            let pause = agents[number].random.fraction() * 20
            agents[number].beginConversation()
            return asks(number, at: pause)
        }
    }

    package mutating func ended(_ request: SimulatedRequest, at now: Double, wasAnswered: Bool) -> SimulatedRequest? {
        guard agents.indices.contains(request.loop) else { return nil }
        let pause = agents[request.loop].goesOn(wasAnswered: wasAnswered)
        return asks(request.loop, at: now + pause)
    }

    private mutating func asks(_ number: Int, at time: Double) -> SimulatedRequest? {
        time < end ? agents[number].request(at: time) : nil
    }

    /// One agent and its present conversation.
    private struct Agent: Sendable {
        let number: Int
        let client: String
        var random: SeededRandom
        private let seed: UInt64
        private var conversations = 0
        private var conversation: UInt64 = 0
        private var prompt = PromptBuilder()
        /// What the conversation would have with all answers and results.
        private var length = 0
        private var turn = 0
        private var turns = 0
        private var answer = 0
        private var result = 0
        private var think = 0.0

        init(number: Int, seed: UInt64, client: String) {
            self.number = number
            self.client = client
            self.seed = seed
            random = SeededRandom(seed: seed, part: UInt64(number))
        }

        mutating func beginConversation() {
            conversations += 1
            conversation = mixed(mixed(seed &+ UInt64(number) << 32) &+ UInt64(conversations))
            length = random.integer(in: conversations == 1 ? 8000...60_000 : 8000...20_000)
            (turn, turns) = (0, max(3, Int(random.exponential(mean: 30))))
            prompt = PromptBuilder()
            prompt.append(message: 1, tokens: AgentsWorkload.systemTokens)
            prompt.append(message: content(of: 0), tokens: length - AgentsWorkload.systemTokens)
            beginTurn()
        }

        private mutating func beginTurn() {
            answer = random.tokens(logMean: 5, deviation: 0.9, in: 20...2000)
            result = random.tokens(logMean: 6.3, deviation: 1.1, in: 10...8000)
            think = random.exponential(mean: 8)
        }

        /// - Returns: the pause until the next request.
        mutating func goesOn(wasAnswered: Bool) -> Double {
            var pause = think
            length += answer + result
            if wasAnswered {
                prompt.append(message: content(of: 2 * turn + 1), tokens: answer)
                prompt.append(message: content(of: 2 * turn + 2), tokens: result)
            } else {
                // It tries the same again.
                pause += 2
            }
            turn += 1
            let isFull = wasAnswered && length > AgentsWorkload.longestTokens
            if turn < turns, !isFull {
                beginTurn()
                return pause
            }
            if isFull { pause = 0 }
            pause += random.exponential(mean: 60)
            beginConversation()
            return pause
        }

        func request(at time: Double) -> SimulatedRequest {
            SimulatedRequest(
                arrivesAt: time, client: client, conversation: conversation, prompt: prompt,
                answer: .init(content: content(of: 2 * turn + 1), tokens: answer), loop: number)
        }

        private func content(of message: Int) -> UInt64 { mixed(conversation &+ UInt64(message) &* 0x9E37_79B9_7F4A_7C15) }
    }
}

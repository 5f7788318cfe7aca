package import Routing

/// A few people who chat, beside one client that has many long jobs in flight all the time: whether the line is fair.
package struct BulkWorkload: Workload {
    /// How the jobs come.
    package enum Arrivals: Sendable, Equatable {
        /// All at one time, in seconds; none follows.
        case together(at: Double)
        /// Each that ends is followed by another one.
        case keptInFlight
    }

    /// Everybody who chats has it.
    private static let systemTokens = 500
    private static let jobTokens = 30_000

    private var people: [Person]
    private let jobs: Int
    private let arrivals: Arrivals
    private let end: Double
    private var random: SeededRandom
    private let seed: UInt64
    private var begunJobs = 0
    private let priority: PriorityClass?

    /// - Parameters:
    ///   - people: how many chat.
    ///   - jobs: how many the one client has.
    ///   - seconds: after that, nothing new is asked.
    ///   - priority: what the jobs' client says of them (`X-Priority`).
    package init(
        people: Int = 4, jobs: Int, _ arrivals: Arrivals = .keptInFlight, seconds: Double, seed: UInt64,
        priority: PriorityClass? = nil
    ) {
        self.people = (0..<max(0, people)).map { Person(number: $0, seed: seed) }
        self.jobs = max(0, jobs)
        self.arrivals = arrivals
        self.seed = seed
        self.priority = priority
        end = seconds
        random = SeededRandom(seed: seed, part: 1 << 41)
    }

    package mutating func start() -> [SimulatedRequest] {
        var requests: [SimulatedRequest] = []
        for number in people.indices {
            let pause = people[number].random.fraction() * 10
            people[number].beginConversation()
            requests.append(people[number].request(at: pause))
        }
        let begin = if case .together(let at) = arrivals { at } else { 0.0 }
        for _ in 0..<jobs { requests.append(job(at: begin)) }
        return requests.filter { $0.arrivesAt < end }
    }

    package mutating func ended(_ request: SimulatedRequest, at now: Double, wasAnswered: Bool) -> SimulatedRequest? {
        guard people.indices.contains(request.loop) else {
            return arrivals == .keptInFlight && now < end ? job(at: now) : nil
        }
        let time = now + people[request.loop].goesOn(wasAnswered: wasAnswered)
        return time < end ? people[request.loop].request(at: time) : nil
    }

    private mutating func job(at time: Double) -> SimulatedRequest {
        begunJobs += 1
        let content = mixed(mixed(seed ^ 0x6A6F_6273) &+ UInt64(begunJobs))
        var prompt = PromptBuilder()
        prompt.append(message: content, tokens: Self.jobTokens)
        let answer = random.tokens(logMean: 5, deviation: 0.6, in: 20...800)
        return SimulatedRequest(
            arrivesAt: time, client: "jobs", conversation: content, prompt: prompt,
            answer: .init(content: mixed(content), tokens: answer), loop: -1, isJob: true, priority: priority)
    }

    /// One who chats: a conversation of some turns, then another one.
    private struct Person: Sendable {
        let number: Int
        var random: SeededRandom
        private let seed: UInt64
        private var conversations = 0
        private var conversation: UInt64 = 0
        private var prompt = PromptBuilder()
        private var turn = 0
        private var turns = 0
        private var answer = 0

        init(number: Int, seed: UInt64) {
            self.number = number
            self.seed = seed
            random = SeededRandom(seed: seed, part: UInt64(number) | 1 << 42)
        }

        mutating func beginConversation() {
            conversations += 1
            conversation = mixed(mixed(seed &+ UInt64(number + 1) << 40) &+ UInt64(conversations))
            (turn, turns) = (0, max(1, Int(random.exponential(mean: 8))))
            prompt = PromptBuilder()
            prompt.append(message: 3, tokens: BulkWorkload.systemTokens)
            prompt.append(message: content(of: 0), tokens: random.integer(in: 500...8000))
            beginTurn()
        }

        private mutating func beginTurn() { answer = random.tokens(logMean: 4.7, deviation: 0.6, in: 10...800) }

        /// - Returns: the pause until the next request.
        mutating func goesOn(wasAnswered: Bool) -> Double {
            let pause = random.exponential(mean: 10)
            turn += 1
            guard turn < turns else {
                beginConversation()
                return pause
            }
            if wasAnswered {
                prompt.append(message: content(of: 2 * turn - 1), tokens: answer)
                prompt.append(
                    message: content(of: 2 * turn), tokens: random.tokens(logMean: 5, deviation: 1, in: 10...4000))
            }
            beginTurn()
            return pause
        }

        func request(at time: Double) -> SimulatedRequest {
            SimulatedRequest(
                arrivesAt: time, client: "person-\(number)", conversation: conversation, prompt: prompt,
                answer: .init(content: content(of: 2 * turn + 1), tokens: answer), loop: number)
        }

        private func content(of message: Int) -> UInt64 { mixed(conversation &+ UInt64(message) &* 0x9E37_79B9_7F4A_7C15) }
    }
}

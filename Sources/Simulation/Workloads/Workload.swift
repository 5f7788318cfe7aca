package import Routing

/// Requests for the simulator. Times are virtual seconds from its start.
///
/// The same workload with the same seed asks the same, whatever the rule; in a closed loop only the times differ.
package protocol Workload: Sendable {
    /// What is asked for. Every server has all of them.
    var models: [String] { get }

    /// The requests that come by themselves, or begin the loops.
    mutating func start() -> [SimulatedRequest]

    /// The request that follows when one has ended; nil when nothing follows.
    ///
    /// - Parameter wasAnswered: its answer is complete.
    mutating func ended(_ request: SimulatedRequest, at now: Double, wasAnswered: Bool) -> SimulatedRequest?
}

extension Workload {
    /// Most workloads have only one.
    package var models: [String] { [SimulatedRequest.onlyModel] }

    /// Open loops do not mind how a request ended.
    package mutating func ended(_ request: SimulatedRequest, at now: Double, wasAnswered: Bool) -> SimulatedRequest? { nil }
}

/// A request of a workload.
package struct SimulatedRequest: Sendable {
    /// The model of workloads that have only one.
    package static let onlyModel = "m"

    package var arrivesAt: Double
    /// Its client, as the router knows it.
    package var client: String
    package var model: String
    /// Requests of one conversation have the same number, which no other has.
    package var conversation: UInt64
    package var prompt: PromptBuilder
    /// What the engine will answer.
    package var answer: TokenSequence.Segment
    /// Which of the workload's loops it belongs to.
    package var loop = 0
    /// Nobody waits for it: it is not part of the times to the first token.
    package var isJob = false
    /// What its client says of it (`X-Priority`).
    package var priority: PriorityClass?

    package init(
        arrivesAt: Double, client: String, model: String = onlyModel, conversation: UInt64, prompt: PromptBuilder,
        answer: TokenSequence.Segment, loop: Int = 0, isJob: Bool = false,
        priority: PriorityClass? = nil
    ) {
        self.arrivesAt = arrivesAt
        self.client = client
        self.model = model
        self.conversation = conversation
        self.prompt = prompt
        self.answer = answer
        self.loop = loop
        self.isJob = isJob
        self.priority = priority
    }

    /// What the router is told.
    var traits: RequestTraits {
        RequestTraits(
            destination: .model(model), client: client, address: client, prompt: prompt.chain, isStream: true,
            priority: priority)
    }
}

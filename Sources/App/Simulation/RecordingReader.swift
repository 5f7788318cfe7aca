import Foundation
import Routing
import Simulation

/// Reads requests from a recording of the router's events (`RecordingFile`).
struct RecordingReader {
    /// Of an answer or a prompt, in tokens; more is a mistake.
    private static let mostTokens = 100_000_000

    private let decoder = JSONDecoder()
    /// Requests that have not ended yet, and their lines.
    private var open: [Ticket: (traits: RequestTraits, at: Moment, line: Int)] = [:]
    private var read = RecordedRequests(.recording)

    mutating func take(_ bytes: [UInt8], line: Int) throws(LineProblem) {
        let step: Recording.Step
        do { step = try decoder.decode(Recording.Step.self, from: Data(bytes)) } catch {
            throw LineProblem(message: "no event of this version's router; record again with the version that simulates")
        }
        switch step.event {
        case .requestArrived(let ticket, let traits):
            guard traits.counts, let prompt = traits.prompt, !Self.namesServer(traits) else { return }
            try Self.check(prompt)
            guard open.count < RecordedRequests.mostRequests else {
                throw LineProblem(message: "more than \(RecordedRequests.mostRequests) requests have not ended up to here")
            }
            open[ticket] = (traits, step.at, line)
        case .requestCancelled(let ticket): if open.removeValue(forKey: ticket) != nil { read.unanswered += 1 }
        case .finished(let ticket, let outcome): try ended(ticket, outcome)
        default: break
        }
    }

    private mutating func ended(_ ticket: Ticket, _ outcome: Outcome) throws(LineProblem) {
        guard let (traits, at, line) = open.removeValue(forKey: ticket), let prompt = traits.prompt else { return }
        guard outcome.ending == .complete else { return read.unanswered += 1 }
        let tokens = 0...Self.mostTokens
        let (computed, cached) = (outcome.timings?.promptTokens ?? 0, outcome.timings?.cachedTokens ?? 0)
        let answer = outcome.timings?.predictedTokens ?? 0
        guard tokens.contains(computed), tokens.contains(cached), tokens.contains(answer) else {
            throw LineProblem(message: "tokens that are no number from 0 to \(Self.mostTokens)")
        }
        try read.add(
            RecordedRequest(
                milliseconds: Double(at.nanoseconds) / 1_000_000, client: traits.client, model: traits.model ?? "no model",
                prompt: prompt, promptTokens: computed + cached > 0 ? computed + cached : nil, answerTokens: answer,
                priority: traits.priority),
            line: line)
    }

    /// Such a request is not routed.
    private static func namesServer(_ traits: RequestTraits) -> Bool {
        if case .server = traits.destination { true } else { false }
    }

    private static func check(_ prompt: PromptChain) throws(LineProblem) {
        let ends = prompt.links.map { Int($0.end) }
        guard (0...Int(UInt32.max)).contains(prompt.length), (0...prompt.length).contains(prompt.lastMessageStart),
            zip(ends, ends.dropFirst()).allSatisfy({ $0 <= $1 }), ends.last ?? 0 <= prompt.length
        else { throw LineProblem(message: "a prompt whose boundaries are not in order, or behind its end") }
    }

    func requests(of file: String) throws(RequestFileProblem) -> RecordedRequests {
        guard !read.requests.isEmpty else {
            throw RequestFileProblem(file: file, line: nil, message: "none of its requests was answered")
        }
        var sorted = read
        sorted.unanswered += open.count
        sorted.sort()
        return sorted
    }
}

import NIOCore
import Wire

/// One answer: how many tokens are read and written for it, how long this takes, and which words it has.
struct Generation {
    /// Unique among the answers of this engine.
    let number: Int
    let serverName: String
    let model: String
    let promptTokens: Int
    let cachedTokens: Int
    let answerTokens: Int
    /// The answer ended because the request's limit was reached.
    let isCutShort: Bool
    let prefillTokensPerSecond: Double?
    let decodeTokensPerSecond: Double?
    let createdSeconds = WallClock.seconds

    var id: String { "\(serverName)-\(number)" }
    var processedTokens: Int { promptTokens - cachedTokens }
    var finishReason: String { isCutShort ? "length" : "stop" }

    // Time since the slot was given.

    var prefillEnd: TimeAmount { duration(of: processedTokens, atSpeed: prefillTokensPerSecond) }
    func due(token index: Int) -> TimeAmount { prefillEnd + duration(of: index, atSpeed: decodeTokensPerSecond) }
    var end: TimeAmount { due(token: answerTokens) }

    var prefillNanoseconds: Int { Int(prefillEnd.nanoseconds) }
    var totalNanoseconds: Int { Int(end.nanoseconds) }

    private func duration(of tokens: Int, atSpeed speed: Double?) -> TimeAmount {
        guard let speed, speed > 0 else { return .zero }
        return .nanoseconds(Int64(min(Double(tokens) / speed, 1e6) * 1e9))
    }

    // Words: who answers, as which model, then filler. One token each.

    func word(_ index: Int) -> String {
        switch index {
        case 0: serverName
        case 1: " answers as"
        case 2: " \(model):"
        default: " " + Generation.filler[(index - 3) % Generation.filler.count]
        }
    }

    var text: String {
        var text = ""
        for index in 0..<answerTokens { text += word(index) }
        return text
    }

    private static let filler = [
        "the", "quick", "brown", "llama", "jumps", "over", "the", "lazy", "balancer", "and", "looks", "for", "a", "free", "slot",
        "again,", "then",
    ]

    // The numbers that llama-server reports.

    /// An engine without a configured speed reports this one, because a rate must be finite.
    private static let instantTokensPerSecond = 1_000_000.0

    var timings: JSON {
        let prefill = prefillTokensPerSecond ?? Generation.instantTokensPerSecond
        let decode = decodeTokensPerSecond ?? Generation.instantTokensPerSecond
        return [
            "cache_n": JSON(cachedTokens),
            "prompt_n": JSON(processedTokens),
            "prompt_ms": JSON(Double(processedTokens) / prefill * 1000),
            "prompt_per_token_ms": JSON(1000 / prefill),
            "prompt_per_second": JSON(prefill),
            "predicted_n": JSON(answerTokens),
            "predicted_ms": JSON(Double(answerTokens) / decode * 1000),
            "predicted_per_token_ms": JSON(1000 / decode),
            "predicted_per_second": JSON(decode),
        ]
    }

    var usage: JSON {
        [
            "completion_tokens": JSON(answerTokens), "prompt_tokens": JSON(promptTokens),
            "total_tokens": JSON(promptTokens + answerTokens), "prompt_tokens_details": ["cached_tokens": JSON(cachedTokens)],
        ]
    }
}

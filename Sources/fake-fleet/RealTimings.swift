import Simulation
import Wire

/// What llama-server reports at the end of an answer. Its clients live in real time, so the milliseconds are real ones.
struct RealTimings {
    let timings: EngineTimings
    let promptMilliseconds: Double
    let predictedMilliseconds: Double

    init(_ timings: EngineTimings, scale: Double) {
        self.timings = timings
        // Rates must be finite.
        promptMilliseconds = max(0.000_001, timings.promptSeconds / scale * 1000)
        predictedMilliseconds = max(0.000_001, timings.predictedSeconds / scale * 1000)
    }

    /// The member `timings`.
    var document: JSON {
        let (read, made) = (Double(max(1, timings.promptTokens)), Double(max(1, timings.predictedTokens)))
        return [
            "cache_n": JSON(timings.cachedTokens), "prompt_n": JSON(timings.promptTokens), "prompt_ms": JSON(promptMilliseconds),
            "prompt_per_token_ms": JSON(promptMilliseconds / read), "prompt_per_second": JSON(read / promptMilliseconds * 1000),
            "predicted_n": JSON(timings.predictedTokens), "predicted_ms": JSON(predictedMilliseconds),
            "predicted_per_token_ms": JSON(predictedMilliseconds / made),
            "predicted_per_second": JSON(made / predictedMilliseconds * 1000),
        ]
    }

    /// The member `usage`.
    var usage: JSON {
        let prompt = timings.cachedTokens + timings.promptTokens
        return [
            "completion_tokens": JSON(timings.predictedTokens), "prompt_tokens": JSON(prompt),
            "total_tokens": JSON(prompt + timings.predictedTokens),
            "prompt_tokens_details": ["cached_tokens": JSON(timings.cachedTokens)],
        ]
    }
}

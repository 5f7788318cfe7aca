// SGLang's rule (`cache_aware`): the server that got the longest beginning of this prompt before, if that is more than half of the
// prompt and the servers are balanced; otherwise the one with the fewest requests in flight.
//
// Two things differ, because full servers take no request here: the longest match is looked for among the eligible servers, and so is
// the smallest load. Of several servers with the same match, the first in order is taken; SGLang takes any.

/// The constants of SGLang's rule, as its gateway has them.
private enum CacheAware {
    /// The servers are unbalanced when their loads differ by more requests than this …
    static let absoluteImbalance = 32
    /// … and by more than this factor.
    static let relativeImbalance = 1.1
    /// The part of a prompt that must match.
    static let threshold = 0.5
}

extension Router {
    /// The choice among the eligible candidates of the group; nil when none is eligible.
    func cacheAwareChoice(
        among list: CandidateList, _ group: Range<Int>, for request: PendingRequest, at now: Moment
    ) -> Choice? {
        let loads = loads(of: group, in: list, for: request, at: now)
        let (least, most) = (loads.map(\.inFlight).min() ?? 0, loads.map(\.inFlight).max() ?? 0)
        let isUnbalanced =
            most - least > CacheAware.absoluteImbalance && Double(most) > CacheAware.relativeImbalance * Double(least)
        if !isUnbalanced, let prompt = request.traits.prompt, prompt.length > 0 {
            var best: (position: Int, bytes: Int)?
            for load in loads where load.isEligible {
                let server = backends[list.candidates[load.position].index].id
                let bytes = comparison.matchedBytes(of: prompt, on: server)
                if bytes > best?.bytes ?? 0 { best = (load.position, bytes) }
            }
            if let best, Double(best.bytes) / Double(prompt.length) > CacheAware.threshold {
                return choice(best.position, among: list, .hasPrefix)
            }
        }
        return leastInFlightChoice(among: list, group, for: request, at: now)
    }
}

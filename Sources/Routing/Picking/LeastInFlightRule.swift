// The usual rule of load balancers: the server with the fewest requests in flight; among equal servers, the first in
// configured order.

extension Router {
    /// The choice among the eligible candidates of the group; nil when none is eligible.
    func leastInFlightChoice(
        among list: CandidateList, _ group: Range<Int>, for request: PendingRequest, at now: Moment
    ) -> Choice? {
        var best: (inFlight: Int, position: Int)?
        for position in group {
            let index = list.candidates[position].index
            guard ineligibility(at: position, in: list, for: request, at: now) == nil else { continue }
            let inFlight = backends[index].inFlight
            if inFlight < best?.inFlight ?? .max { best = (inFlight, position) }
            if inFlight == 0 { break }
        }
        return best.map { best in
            let candidate = list.candidates[best.position]
            let inFlight = candidate.instances.map { backends[candidate.index].inFlight(on: $0) }
            let instance = inFlight.indices.min { inFlight[$0] < inFlight[$1] }
            return Choice(position: best.position, instance: instance, reason: .fewestInFlight)
        }
    }
}

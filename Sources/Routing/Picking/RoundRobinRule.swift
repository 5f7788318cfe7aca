// One server after the other, whatever they hold and however fast they are.

extension Router {
    /// The first eligible candidate after the server that got the model's last request; nil when none is eligible.
    func roundRobinChoice(
        among list: CandidateList, _ group: Range<Int>, for request: PendingRequest, at now: Moment
    ) -> Choice? {
        let last = comparison.lastServer[list.model ?? ""]
        let start = group.first { backends[list.candidates[$0].index].id == last }.map { $0 + 1 } ?? group.lowerBound
        for position in [start..<group.upperBound, group.lowerBound..<start].joined()
        where ineligibility(at: position, in: list, for: request, at: now) == nil {
            return choice(position, among: list, .itsTurn)
        }
        return nil
    }
}

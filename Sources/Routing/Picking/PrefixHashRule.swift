// Consistent hashing with bounded loads, as KubeAI's `PrefixHash` does it: every conversation has a place on a ring of servers, and goes
// to the next server on the ring that is not much more loaded than the others.

/// The constants of KubeAI's rule.
private enum PrefixHash {
    /// How often each server is on the ring.
    static let replicas: UInt64 = 256
    /// A server may have this many times the mean load.
    static let loadBound = 1.25
}

extension Router {
    /// The choice among the eligible candidates of the group; nil when none is eligible.
    func prefixHashChoice(
        among list: CandidateList, _ group: Range<Int>, for request: PendingRequest, at now: Moment
    ) -> Choice? {
        let loads = loads(of: group, in: list, for: request, at: now)
        let total = loads.reduce(0) { $0 + $1.inFlight }
        let bound = Double(total + 1) / Double(max(1, loads.count)) * PrefixHash.loadBound
        // Without links, the client stands for the conversation.
        let key =
            request.traits.prompt.flatMap { comparison.conversationKey(of: $0) }.map { spread($0) }
            ?? hash(of: request.traits.client)
        var best: (position: Int, isBounded: Bool, distance: UInt64)?
        for load in loads where load.isEligible {
            let isBounded = Double(load.inFlight) <= bound
            let distance = distanceOnRing(from: key, to: backends[list.candidates[load.position].index].server.name)
            if let best, best.isBounded != isBounded ? best.isBounded : best.distance <= distance { continue }
            best = (load.position, isBounded, distance)
        }
        return best.map { choice($0.position, among: list, .nextOnRing) }
    }

    /// How far it is clockwise to the server's next place. The order of these distances is the order in which a walk along the ring
    /// meets the servers. Without a stored ring, this costs 256 steps for each server.
    private func distanceOnRing(from key: UInt64, to server: String) -> UInt64 {
        let seed = hash(of: server)
        var least = UInt64.max
        for replica in 0..<PrefixHash.replicas {
            least = min(least, spread(seed &+ replica &* 0x9E37_79B9_7F4A_7C15) &- key)
        }
        return least
    }

    /// FNV-1a, its bits spread.
    private func hash(of text: String) -> UInt64 {
        spread(text.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 })
    }

    /// Spreads the bits of a number: the last step of SplitMix64.
    private func spread(_ number: UInt64) -> UInt64 {
        var mixed = number
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

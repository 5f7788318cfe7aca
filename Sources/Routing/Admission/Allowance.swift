/// An amount that is used up and fills again evenly (a token bucket). Never less than 0, never more than `most`.
struct Allowance: Sendable, Equatable {
    let most: Double
    /// Seconds in which it fills from nothing.
    let period: Double
    private var left: Double
    private var updatedAt: Double

    init(most: Double, period: Double, at now: Double) {
        (self.most, self.period) = (most, period)
        (left, updatedAt) = (most, now)
    }

    /// - Parameter now: in seconds, in all functions; not before an earlier call.
    func left(at now: Double) -> Double { min(most, left + max(0, now - updatedAt) * most / period) }

    /// Seconds until that much is there; 0 when it is. Of more than there can ever be, everything is asked for: otherwise such a request
    /// could never run.
    func wait(for amount: Double, at now: Double) -> Double {
        let missing = min(amount, most) - left(at: now)
        return missing > 0 && most > 0 ? missing * period / most : 0
    }

    /// Takes what is there of the amount. Returns how much that was.
    mutating func take(_ amount: Double, at now: Double) -> Double {
        let before = left(at: now)
        (left, updatedAt) = (max(0, before - max(0, amount)), now)
        return before - left
    }

    mutating func giveBack(_ amount: Double, at now: Double) {
        (left, updatedAt) = (min(most, left(at: now) + max(0, amount)), now)
    }

    /// Another limit: what was used stays used.
    mutating func change(most new: Double, at now: Double) {
        let used = most - left(at: now)
        self = Allowance(most: new, period: period, at: now)
        _ = take(used, at: now)
    }
}

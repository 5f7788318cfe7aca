package import Routing

/// A time limit and its purpose. Checked a few times a second.
package struct Deadline<Meaning: Sendable & Equatable>: Sendable, Equatable {
    private var moment: Moment?
    private var meaning: Meaning?

    package init() {}

    /// - Parameter interval: nil for no limit.
    package mutating func set(_ meaning: Meaning, within interval: Interval?, from now: Moment) {
        moment = interval.map { now + $0 }
        self.meaning = meaning
    }

    package mutating func clear() { moment = nil }

    /// What the deadline waits for; nil when there is no limit.
    package var awaited: Meaning? { moment == nil ? nil : meaning }

    package func isOver(at now: Moment) -> Bool { moment.map { $0 <= now } ?? false }

    /// The purpose of a deadline that has passed; returned only once.
    package mutating func expired(at now: Moment) -> Meaning? {
        guard isOver(at: now) else { return nil }
        moment = nil
        return meaning
    }
}

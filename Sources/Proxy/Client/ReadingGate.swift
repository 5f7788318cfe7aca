/// Whether a socket is read from: while any reason to pause holds, it is not. Back-pressure in both directions is made of these.
package struct ReadingGate: Equatable, Sendable {
    package struct Reasons: OptionSet, Equatable, Sendable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }

        // Towards the client.
        /// It has sent enough ahead of its turn.
        package static let sentAhead = Reasons(rawValue: 1)
        /// Its body, or its end of a tunnel, goes to a server that is not there yet or that reads slowly.
        package static let serverSlow = Reasons(rawValue: 2)
        /// It does not take the answers that it has been sent.
        package static let answersUnread = Reasons(rawValue: 4)

        // Towards the server.
        /// The client does not take the answer as fast as it comes.
        package static let clientSlow = Reasons(rawValue: 8)
        /// The answer is held until the router has decided.
        package static let answerHeld = Reasons(rawValue: 16)
    }

    /// What to do with the socket after a change.
    package enum Change: Equatable, Sendable {
        case none
        case pause
        case resume
    }

    package private(set) var reasons: Reasons = []

    package init() {}

    package mutating func close(_ reason: Reasons) -> Change {
        defer { reasons.insert(reason) }
        return reasons.isEmpty ? .pause : .none
    }

    package mutating func open(_ reason: Reasons) -> Change {
        guard reasons.remove(reason) != nil else { return .none }
        return reasons.isEmpty ? .resume : .none
    }

    /// Whatever it was closed for does not matter any more.
    package mutating func openForAll() -> Change {
        defer { reasons = [] }
        return reasons.isEmpty ? .none : .resume
    }
}

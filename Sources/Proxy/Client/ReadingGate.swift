/// Decides whether a socket is read: reading pauses while there is any reason to pause. This is the back-pressure in both
/// directions.
package struct ReadingGate: Equatable, Sendable {
    package struct Reasons: OptionSet, Equatable, Sendable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }

        // Towards the client.
        /// The client has sent more pipelined data than may be buffered.
        package static let sentAhead = Reasons(rawValue: 1)
        /// The client's body, or its tunnel data, goes to a server that is not connected yet or reads slowly.
        package static let serverSlow = Reasons(rawValue: 2)
        /// The client does not read the answers that it has been sent.
        package static let answersUnread = Reasons(rawValue: 4)

        // Towards the server.
        /// The client does not read the answer as fast as it arrives.
        package static let clientSlow = Reasons(rawValue: 8)
        /// The answer is held until the router has decided.
        package static let answerHeld = Reasons(rawValue: 16)
    }

    /// How to change reading from the socket.
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

    /// Removes all reasons to pause.
    package mutating func openForAll() -> Change {
        defer { reasons = [] }
        return reasons.isEmpty ? .none : .resume
    }
}

/// How urgent a request is for its users. A higher class is served first; the others wait longer, but not for ever.
package enum PriorityClass: String, Sendable, CaseIterable, Codable {
    /// Somebody waits for each answer.
    case interactive
    case normal
    /// Nobody looks at the single answer.
    case bulk

    /// 0 for the highest class.
    package var rank: Int {
        switch self {
        case .interactive: 0
        case .normal: 1
        case .bulk: 2
        }
    }

    /// The lower one of the two: who asks may say that something is less urgent, never that it is more urgent.
    package func lowered(to other: PriorityClass?) -> PriorityClass {
        guard let other, other.rank > rank else { return self }
        return other
    }
}

/// What becomes of a request's body. It is kept, so that the request can be sent again; one that grows longer than `limits.retry-body` is
/// streamed through, as soon as it is known where to.
package enum RequestBodyState: Equatable, Sendable {
    /// It comes, and is kept.
    case receiving
    /// It is kept as a whole, or there is none.
    case whole
    /// It is long: the router has been asked before it has come whole. What has come is kept, and no more is read.
    case pending
    /// It goes to the server as it comes, and cannot be sent again.
    case streaming
    /// It went to the server as it came.
    case streamed
    /// The rest of it is discarded.
    case abandoned

    /// The request can be sent once more.
    package var isRepeatable: Bool {
        switch self {
        case .receiving, .whole, .pending: true
        case .streaming, .streamed, .abandoned: false
        }
    }

    /// The client has more of it to send.
    package var isIncomplete: Bool {
        switch self {
        case .receiving, .pending, .streaming: true
        case .whole, .streamed, .abandoned: false
        }
    }

    /// Its last byte has come.
    package mutating func ended() {
        switch self {
        // It came faster than the router's word: a body like any other.
        case .receiving, .pending: self = .whole
        case .streaming: self = .streamed
        case .whole, .streamed, .abandoned: break
        }
    }

    /// It is too long to be kept.
    package mutating func routedEarly() {
        if self == .receiving { self = .pending }
    }

    /// Its server begins to receive it. False when it is kept.
    package mutating func streamingBegan() -> Bool {
        guard self == .pending else { return false }
        self = .streaming
        return true
    }

    /// No more of it is taken. False when there is nothing more to come.
    package mutating func stopped() -> Bool {
        guard isIncomplete else { return false }
        self = .abandoned
        return true
    }
}

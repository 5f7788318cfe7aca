/// Names one request for its whole life. The high 16 bits are its owner: an event loop, for instance.
package struct Ticket: Hashable, Sendable, Codable {
    package let rawValue: UInt64

    package init(rawValue: UInt64) { self.rawValue = rawValue }

    package init(owner: Int, sequence: UInt64) {
        rawValue = UInt64(owner & 0xFFFF) << 48 | sequence & 0xFFFF_FFFF_FFFF
    }

    package var owner: Int { Int(rawValue >> 48) }
}

/// What the router knows about a request.
///
/// Immutable, and referred to from several places (the line, the running requests, the decision log). It is a class so that
/// each of them costs one reference instead of a copy of every string.
package final class RequestTraits: Sendable, Codable {
    /// Which servers may take it.
    package enum Destination: Sendable, Hashable, Codable {
        /// Those that the model's pattern, or the servers' own lists, name.
        case model(String)
        /// The fallback server: no model was named.
        case fallback
        /// The server that has this conversation's stream, else the fallback server.
        case conversation(String)
        /// That server alone, at once, whatever its load (`/upstream/NAME/…`).
        case server(String)
    }

    package let destination: Destination
    /// Who asks: for affinity and for fairness in the waiting line.
    package let client: String
    /// The client's address, for display.
    package let address: String
    /// The name found by `sticky.username-pattern`, for display.
    package let username: String?
    /// Makes an engine compute: counts towards `request-max` and waits when that is reached.
    package let counts: Bool
    /// `X-Request-Id`, kept or made.
    package let requestID: String
    /// Of the request, without its query; for display.
    package let path: String
    /// The name of a stream that can be taken up again (llama-server's `X-Conversation-Id`).
    package let conversation: String?
    /// The model's route. Nil, or found for an earlier fleet: the router finds it itself.
    package let match: RouteMatch?

    package init(
        destination: Destination, client: String, address: String = "", username: String? = nil, counts: Bool = true,
        requestID: String = "", path: String = "", conversation: String? = nil, match: RouteMatch? = nil
    ) {
        self.destination = destination
        self.client = client
        self.address = address
        self.username = username
        self.counts = counts
        self.requestID = requestID
        self.path = path
        self.conversation = conversation
        self.match = match
    }

    package var model: String? {
        guard case .model(let name) = destination else { return nil }
        return name
    }
}

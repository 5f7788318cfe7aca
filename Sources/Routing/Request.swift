/// Identifies one request from its arrival to its end. The high 16 bits are its owner, such as an event loop.
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
/// Immutable, and shared by several places (the waiting line, the running requests, the decision log). It is a class, so that
/// each place costs one reference instead of a copy of every string.
package final class RequestTraits: Sendable, Codable {
    /// Which servers may take the request.
    package enum Destination: Sendable, Hashable, Codable {
        /// The servers of the model's route, or the servers that list the model.
        case model(String)
        /// The request names no model.
        case fallback
        /// That server only, at once, whatever its load (`/upstream/NAME/…`).
        case server(String)
    }

    /// What a request asks for, or goes on from.
    package enum Followed: Sendable, Hashable, Codable {
        /// A stored response, a conversation, a file or a batch, by the id that its server gave it.
        case made(String)
        /// A resumable stream, by the name that its client gave it.
        case stream(String)
    }

    package let destination: Destination
    /// The client's identity: for affinity and for fairness in the waiting line.
    package let client: String
    /// The name of the client's key; nil when it has none.
    package let key: String?
    /// The client's address, for display.
    package let address: String
    /// The name found by `sticky.username-pattern`, for display.
    package let username: String?
    /// The request makes an engine compute: it counts towards `request-max` and waits when that limit is reached.
    package let counts: Bool
    /// `X-Request-Id`, from the client or generated.
    package let requestID: String
    /// The request's path without its query, for display.
    package let path: String
    /// The name of a resumable stream (llama-server's `X-Conversation-Id`).
    package let conversation: String?
    /// Something that a server made: only that server has it.
    package let follows: Followed?
    /// What the engine has to read; nil when it is not known.
    package let prompt: PromptChain?
    /// The answer comes in pieces: `Event.answerBegan` tells when its first one came.
    package let isStream: Bool
    /// The class that the client asks for (`X-Priority`); nil when it does not say.
    package let priority: PriorityClass?
    /// The model's route. When nil, or found for an earlier fleet, the router finds the route itself.
    package let match: RouteMatch?
    /// Only servers that list the model may run it. An engine with a single model answers under any name, also under one that a key is good
    /// for.
    package let mustBeListed: Bool

    package init(
        destination: Destination, client: String, key: String? = nil, address: String = "", username: String? = nil,
        counts: Bool = true,
        requestID: String = "", path: String = "", conversation: String? = nil, follows: Followed? = nil,
        prompt: PromptChain? = nil, isStream: Bool = false, priority: PriorityClass? = nil, match: RouteMatch? = nil,
        mustBeListed: Bool = false
    ) {
        self.destination = destination
        self.client = client
        self.key = key
        self.address = address
        self.username = username
        self.counts = counts
        self.requestID = requestID
        self.path = path
        self.conversation = conversation
        self.follows = follows
        self.prompt = prompt
        self.isStream = isStream
        self.priority = priority
        self.match = match
        self.mustBeListed = mustBeListed
    }

    /// The request goes to a server that its target names (`/upstream/NAME/…`).
    var namesServer: Bool {
        if case .server = destination { true } else { false }
    }

    package var model: String? {
        guard case .model(let name) = destination else { return nil }
        return name
    }

    /// What lists of sessions show: the user's name if it is known, as in the original.
    var shownAddress: String { username ?? address }

    /// The request asks for something that a server made, and does not name a model. When its server is not known, all are asked
    /// in turn.
    package var isSearch: Bool { follows != nil && destination == .fallback }
}

package import Routing

/// Everything the data plane is configured with. Replaced as a whole on reload.
package struct ProxySettings: Sendable {
    package var endpoints: [BackendEndpoint] = []
    /// Bytes; a longer request body is refused with 413.
    package var maxBody = 256 << 20
    /// Bytes; a longer body of a request for one of our own endpoints is refused with 413.
    static let maxOwnBody = 64 << 10
    /// Bytes; a longer body is streamed through instead of kept, once it is known where to, and not retried.
    package var retryBody = 32 << 20
    /// Bytes; a longer request head is refused with 431.
    package var maxHeader = 64 << 10
    package var connectTimeout = Interval.seconds(5)
    /// Silence allowed between sending a request and its answer's first byte; nil: as long as the connection lives.
    package var firstByteTimeout: Interval?
    /// Silence allowed inside an answer; nil: no limit.
    package var betweenBytesTimeout: Interval?
    /// Silence after which a client that waits for its stream gets a sign of life; nil: never.
    package var keepAliveInterval: Interval? = .seconds(15)
    /// A head has to be complete so long after its first byte.
    package var headTimeout = Interval.seconds(10)
    /// A client's connection may be idle so long.
    package var idleTimeout = Interval.seconds(180)
    /// At shutdown, so long a kept connection may still bring the request that was on its way.
    package var drainPause = Interval.milliseconds(500)
    /// Connections to one server that one loop keeps for a next request.
    package var maxIdleUpstream = 4096
    /// Streams that may go on in one loop after their clients have left; past it, they end with their clients.
    package var maxDetachedStreams = 64
    /// A regular expression whose first group is the user's name, searched in system messages; nil: none.
    package var usernamePattern: String?
    package var modelRules: [ModelRule] = []
    /// Whose `X-Forwarded-…` fields are believed and passed on.
    package var forwardingTrust = ForwardingTrust.everyone
    /// Who may use `/admin/` and `/upstream/`.
    package var localAccess = LocalAccess()

    package init() {}
}

/// How to reach one backend, and what to send along.
package struct BackendEndpoint: Sendable, Equatable {
    package var id: BackendID
    package var name: String
    package let address: ServerAddress
    /// Put in front of every request target; empty or `/…` without a slash at its end.
    package var pathPrefix: String
    /// Replaces the client's `Authorization`.
    package var authorization: String?
    package var extraHeaders: [HeaderField]
    /// False for engines that close the connection after every streamed answer (llama-server).
    package var keepsConnectionAfterStream: Bool
    /// Takes OpenAI's Responses API over a WebSocket as well. The usual local engines do not, and clients that try it fall back
    /// as soon as they are told.
    package var speaksResponsesOverWebSocket: Bool

    package init(
        id: BackendID, name: String, host: String, port: Int, transport: Transport = .plain, pathPrefix: String = "",
        authorization: String? = nil, extraHeaders: [HeaderField] = [],
        keepsConnectionAfterStream: Bool = false, speaksResponsesOverWebSocket: Bool = false
    ) {
        self.id = id
        self.name = name
        address = ServerAddress(host: host, port: port, transport: transport)
        self.pathPrefix = pathPrefix
        self.authorization = authorization
        self.extraHeaders = extraHeaders
        self.keepsConnectionAfterStream = keepsConnectionAfterStream
        self.speaksResponsesOverWebSocket = speaksResponsesOverWebSocket
    }
}

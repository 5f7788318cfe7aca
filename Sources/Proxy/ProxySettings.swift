package import Routing

/// The configuration of the data plane. Replaced as a whole on reload.
package struct ProxySettings: Sendable {
    package var endpoints: [BackendEndpoint] = []
    package var limits = Limits()
    package var timeouts = Timeouts()
    /// Silence after which a client that waits for its stream is sent a keep-alive comment; nil: never.
    package var keepAliveInterval: Interval? = .seconds(15)
    /// A regular expression whose first group is the user's name, searched in system messages; nil: no search.
    package var usernamePattern: String?
    /// The server that pulls new models (`POST /api/pull`); nil: the fallback.
    package var pullServer: String?
    package var modelRules: [ModelRule] = []
    /// Regular expressions for volatile parts of system prompts, besides the known ones (`VolatilePrompts`).
    package var volatilePatterns: [String] = []
    /// Which peers' `X-Forwarded-…` fields are trusted and forwarded.
    package var forwardingTrust = ForwardingTrust.everyone
    /// The keys of clients. Empty: nobody needs one.
    package var keys = KeyRing()
    /// The client's own key reaches engines, although keys are configured.
    package var forwardsClientKey = false
    /// Which pages of other origins may use the API.
    package var allowedOrigins = AllowedOrigins.any
    /// Who may use `/admin/` and `/upstream/` while no keys are configured.
    package var localAccess = LocalAccess()

    package init() {}
}

/// How to reach one backend, and which fields to send to it.
package struct BackendEndpoint: Sendable, Equatable {
    package var id: BackendID
    package var name: String
    package let address: ServerAddress
    /// Prepended to every request target; empty, or `/…` without a trailing slash.
    package var pathPrefix: String
    /// Replaces the client's `Authorization`.
    package var authorization: String?
    package var extraHeaders: [HeaderField]
    /// False for engines that close the connection after every streamed answer (llama-server).
    package var keepsConnectionAfterStream: Bool
    /// The volatile characters of system prompts reach the server as they are.
    package var keepsVolatilePrompts: Bool
    /// Whether the server supports OpenAI's Responses API over a WebSocket. Most local engines do not; clients that try it
    /// fall back as soon as they are refused.
    package var speaksResponsesOverWebSocket: Bool

    package init(
        id: BackendID, name: String, host: String, port: Int, transport: Transport = .plain, pathPrefix: String = "",
        authorization: String? = nil, extraHeaders: [HeaderField] = [],
        keepsConnectionAfterStream: Bool = false, keepsVolatilePrompts: Bool = false, speaksResponsesOverWebSocket: Bool = false
    ) {
        self.id = id
        self.name = name
        address = ServerAddress(host: host, port: port, transport: transport)
        self.pathPrefix = pathPrefix
        self.authorization = authorization
        self.extraHeaders = extraHeaders
        self.keepsConnectionAfterStream = keepsConnectionAfterStream
        self.keepsVolatilePrompts = keepsVolatilePrompts
        self.speaksResponsesOverWebSocket = speaksResponsesOverWebSocket
    }
}

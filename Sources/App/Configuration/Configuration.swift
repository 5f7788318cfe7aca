package import Proxy
package import Routing

/// Everything the configuration file says: validated, in file order, every default filled in.
///
/// Defaults that the router or the proxy defines are taken from there, so that each default is defined in one place.
/// `docs/configuration.md` explains the same keys to users.
package struct Configuration: Equatable, Sendable {
    /// `listen`: where clients connect.
    package var listen = Listen()

    /// `servers`, in file order. Never empty once loaded.
    package var servers: [ServerSettings]

    /// `models`: which servers may serve a model, first match first. Nil when left out: every model is eligible
    /// wherever it is listed. An empty list is different: then everything goes to the fallback server.
    package var models: [ModelPattern]?

    /// `fallback_server`: the server for requests that are not routed by model.
    package var fallback = Fallback.firstServer

    /// `pull-server`: the server that pulls new models for Ollama's clients. Nil: the fallback.
    package var pullServer: String?

    /// `default-model`: the model of requests that name none. Nil: such requests are balanced only when all servers have the same
    /// single model.
    package var defaultModel: String?

    /// `aliases`: names of the user's own for models, in file order.
    package var aliases: [Alias] = []

    /// `routing`: how a server is chosen.
    package var routing = Routing()

    /// `sticky`: how long a client stays where its prompt is cached.
    package var sticky = Sticky()

    /// `queue`: how many requests may wait for a free server, and how long.
    package var queue = Queue()

    /// `timeouts`: how long a server may be silent.
    package var timeouts = Timeouts()

    /// `health`: how often servers are probed.
    package var health = Health()

    /// `keep-alive-comments`: a client that waits for its stream gets a keep-alive message after this much silence. Nil: never;
    /// then clients and proxies with a read timeout give up during a long prefill.
    package var keepAliveComments = ProxySettings().keepAliveInterval.map { Duration($0) }

    /// `limits`: what one client may take.
    package var limits = Limits()

    /// `shutdown-grace`: how long running streams may go on after SIGTERM. Zero cuts them off at once.
    package var shutdownGrace = Duration.seconds(30)

    /// `access-log`: where one JSON line per request goes. Never holds prompts or answers.
    package var accessLog = AccessLog.off

    /// `state-file`: what was learned of the servers is kept there over a restart.
    package var stateFile = StateFileSetting.besideConfiguration

    /// `trusted-proxies`: the peers whose `X-Forwarded-For` is trusted. Nil when left out: all peers, like in the original, so
    /// a client can pretend to be another one. An empty list: no peer.
    package var trustedProxies: [AddressRange]?

    /// `privacy`: whether pages and lists show the names of clients.
    package var privacy = Privacy.off

    /// `volatile-prompts`: what happens to parts of system prompts that change with every request.
    package var volatilePrompts = VolatilePrompts.replace(patterns: [])

    /// `model-rules`: changes to chat requests. A list in the file replaces the built-in rules.
    package var modelRules = ModelRule.builtIn

    /// `cors.origins`: the pages of other origins that may use the API. Nil when left out: all while there are no `keys`, none otherwise.
    package var origins: Set<String>?

    /// `keys`: the keys of clients. Empty: nobody needs one, and only programs on this machine may steer the balancer.
    package var keys: [ClientKey] = []

    /// `keys-file`: another file with keys, which are among `keys`. Nil: there is none.
    package var keysFile: String?

    /// Further files that were read with it: certificates, private keys, clients' keys. A change of one is a change of the configuration.
    package var otherFiles: [String] = []

    /// `forward-client-key`: servers receive the client's key, although the balancer has keys of its own.
    package var forwardsClientKey = false

    package init(servers: [ServerSettings]) {
        self.servers = servers
    }
}

extension Configuration {
    /// Where clients connect.
    package struct Listen: Equatable, Sendable {
        /// In file order, at least one, each address once.
        package var listeners = [Listener()]

        /// `names`: names of this machine under which `/admin/` and `/upstream/` answer, besides `localhost`, its host name and
        /// its addresses. A name that others can point at this machine lets their web pages steer the balancer.
        package var names: [String] = []

        package init() {}

        /// One address without TLS.
        package init(_ address: ListenAddress) { listeners = [Listener(address)] }
    }

    /// An address at which clients connect.
    package struct Listener: Equatable, Sendable {
        /// `host` and `port`, or `socket`. With `everywhere`, anyone on the network may connect.
        package var address: ListenAddress

        /// `tls`. Nil: connections are not encrypted.
        package var tls: ListenerTLS?

        package static let defaultPort = 18000

        package init(_ address: ListenAddress = .everywhere(port: defaultPort), tls: ListenerTLS? = nil) {
            self.address = address
            self.tls = tls
        }
    }

    /// One line of `models`.
    package struct ModelPattern: Equatable, Sendable {
        /// A regular expression that must match the whole model name. It has been checked that it compiles with `Regex(_:)`.
        package var pattern: String

        /// Names of `servers`, in order of preference; at least one, each once.
        package var servers: [String]

        /// How one of them is chosen. Nil: as `routing.rule` says.
        package var rule: PickingRule?

        /// How urgent requests for these models are, unless their clients ask for a lower class.
        package var priority: PriorityClass

        package init(pattern: String, servers: [String], rule: PickingRule? = nil, priority: PriorityClass = .normal) {
            self.pattern = pattern
            self.servers = servers
            self.rule = rule
            self.priority = priority
        }
    }

    /// One line of `aliases`.
    package struct Alias: Equatable, Sendable {
        package var name: String
        /// At least one; the first that a server can run is used.
        package var models: [String]

        package init(name: String, models: [String]) {
            self.name = name
            self.models = models
        }
    }

    /// The server for requests that are not routed by model, and for models that no pattern or server knows.
    package enum Fallback: Equatable, Sendable {
        /// The key is left out: the first server of the file.
        case firstServer
        case server(String)
        /// `null`: such requests are answered with 404.
        case noServer
    }

    package struct Routing: Equatable, Sendable {
        /// For models whose pattern names no rule of its own. The other rules do without what this balancer learns.
        package var rule = PickingRule.expectedCost

        package init() {}
    }

    package struct Sticky: Equatable, Sendable {
        /// How long a client keeps its server after its last request. Zero: clients have no server of their own. Too short a
        /// time loses prompt caches.
        package var ttl = Duration(RoutingPolicy().stickyTTL)

        /// Searched in system messages; the first group is the user's name. It has been checked that it compiles and has a
        /// group.
        package var usernamePattern = #"ユーザーの名前は[「『“"']([^」』”"']+)[」』”"']"#

        package init() {}
    }

    package struct Queue: Equatable, Sendable {
        /// The largest number of waiting requests, all clients together; further ones are refused with 429. Zero: no request
        /// waits.
        package var maxWaiting = RoutingPolicy().maxWaiting

        /// Longest wait before 503.
        package var maxWait = Duration(RoutingPolicy().maxWait)

        /// A request of such a class that is predicted to wait longer is refused with 429 when it comes. Nil: it waits.
        package var maxPredictedWait = PredictedWait()

        package struct PredictedWait: Equatable, Sendable {
            package var interactive: Duration?
            package var normal: Duration?
            package var bulk: Duration?

            package init() {}
        }

        package init() {}
    }

    package struct Timeouts: Equatable, Sendable {
        /// For the TCP (and TLS) connection to a server.
        package var connect = Duration(ProxySettings.Timeouts().connect)

        /// From the sent request to the first byte of the answer. Nil: no limit, because prefill can be silent for many minutes.
        package var firstByte = ProxySettings.Timeouts().firstByte.map { Duration($0) }

        /// Between two pieces of an answer. Nil: no limit.
        package var betweenBytes = ProxySettings.Timeouts().betweenBytes.map { Duration($0) }

        package init() {}
    }

    package struct Health: Equatable, Sendable {
        /// Pause between two probes of one server.
        package var interval = Duration.seconds(1)

        /// A probe that has no answer after this time has failed.
        package var timeout = Duration.seconds(2)

        /// How many of the latest samples count. A longer window makes the balancer slower to believe that a server is idle.
        package var window = RoutingPolicy().busyWindow

        /// How long an engine that never answered a probe while it computed may be silent while it computes. A longer time makes
        /// the balancer slower to notice that such an engine is frozen.
        package var busyTimeout = Duration.seconds(600)

        package init() {}
    }

    /// Sizes in bytes.
    package struct Limits: Equatable, Sendable {
        /// Largest request body; a larger one is refused with 413.
        package var body = ProxySettings.Limits().body

        /// Largest request head; a larger one is refused with 431.
        package var header = ProxySettings.Limits().header

        /// The largest number of client connections at a time. Further ones are accepted when one closes; when a client waits,
        /// the connection that has been idle for longest is closed.
        package var connections = 8192

        /// Largest body kept in memory so that it can be sent again; larger ones are streamed through and not retried.
        package var retryBody = ProxySettings.Limits().retryBody

        package init() {}
    }

    package enum Privacy: String, CaseIterable, Sendable {
        /// Addresses, users and sessions are shown unchanged to anyone who can connect, like in the original.
        case off
        /// Addresses, users and sessions are replaced by short hashes, but not in the access log.
        case hideClients = "hide-clients"
    }

    package enum VolatilePrompts: Equatable, Sendable {
        /// They reach every server as they are.
        case keep
        /// The known ones, and what the patterns match, are replaced by constant characters, but not for servers of kind `openai`.
        case replace(patterns: [String])
    }

    package enum StateFileSetting: Equatable, Sendable {
        /// `server-list.state.json` beside `server-list.yaml`; none for servers given as URLs.
        case besideConfiguration
        case off
        /// A path, relative to the folder the balancer was started in.
        case file(String)
    }

    package enum AccessLog: Equatable, Sendable {
        case off
        /// Written as `-`.
        case standardOutput
        /// A path, relative to the folder the balancer was started in.
        case file(String)
    }
}

import Routing

/// The names of all keys, object by object: the decoder accepts them, hints list them, and the tests compare the JSON Schema
/// and the documentation with them.
struct ConfigurationKeys: Sendable {
    /// The path of the object as the documentation writes it: `servers.NAME`. Empty for the file itself.
    let place: String
    let names: [String]
    /// Keys that do not exist yet, with the hint for each.
    var planned: [String: String] = [:]
    /// What other programs call the same, in lower case and without hyphens and underscores.
    var synonyms: [String: String] = [:]

    static let file = ConfigurationKeys(
        place: "",
        names: [
            "listen", "servers", "models", "fallback_server", "fallback-server", "pull-server", "sticky", "queue", "timeouts",
            "health", "keep-alive-comments", "limits", "shutdown-grace", "access-log", "trusted-proxies", "privacy",
            "model-rules", "routing", "state-file",
            "default-model", "aliases", "volatile-prompts", "keys", "keys-file", "cors", "forward-client-key", "$schema",
        ],
        synonyms: [
            "backends": "servers", "upstreams": "servers", "nodes": "servers", "engines": "servers", "endpoints": "servers",
            "port": "listen", "host": "listen", "bind": "listen", "routes": "models", "fallback": "fallback_server",
            "default": "fallback_server", "healthcheck": "health", "keepalive": "keep-alive-comments", "log": "access-log",
            "logging": "access-log", "affinity": "sticky", "policy": "routing", "strategy": "routing", "session": "sticky",
            "sessions": "sticky", "modelaliases": "aliases",
        ])
    static let listen = ConfigurationKeys(
        place: "listen", names: ["host", "port", "socket", "mode", "owner", "tls", "names"],
        synonyms: [
            "address": "host", "bind": "host", "unix": "socket", "path": "socket", "ssl": "tls", "permissions": "mode",
            "user": "owner", "group": "owner",
        ])
    static let listenTLS = ConfigurationKeys(
        place: "listen.tls", names: ["certificate", "private-key", "client-ca"],
        synonyms: ["cert": "certificate", "key": "private-key", "ca": "client-ca", "privatekey": "private-key"])
    static let server = ConfigurationKeys(
        place: "servers.NAME",
        names: ["addr", "health-port", "model-port", "url", "kind", "request-max", "api-key", "headers", "tls", "instances"],
        synonyms: [
            "address": "addr", "host": "addr", "baseurl": "url", "apibase": "url", "endpoint": "url", "uri": "url",
            "port": "model-port", "type": "kind", "engine": "kind", "max": "request-max", "maxrequests": "request-max",
            "maxconn": "request-max", "maxinflight": "request-max", "concurrency": "request-max", "parallel": "request-max",
            "slots": "request-max", "limit": "request-max", "key": "api-key", "token": "api-key", "bearer": "api-key",
        ])
    static let tls = ConfigurationKeys(
        place: "servers.NAME.tls", names: ["ca", "server-name", "certificate", "private-key", "verify"])
    static let key = ConfigurationKeys(
        place: "keys[]",
        names: [
            "name", "key", "key-sha256", "models", "paths", "admin", "expires", "request-max", "requests-per-minute",
            "tokens-per-minute", "tokens-per-day", "priority", "weight",
        ],
        synonyms: [
            "token": "key", "secret": "key", "value": "key", "apikey": "key", "sha256": "key-sha256", "hash": "key-sha256",
            "keyhash": "key-sha256", "model": "models", "user": "name", "expiry": "expires", "expiresat": "expires",
            "scopes": "paths", "class": "priority", "share": "weight", "rpm": "requests-per-minute", "tpm": "tokens-per-minute",
            "tpd": "tokens-per-day", "budget": "tokens-per-day",
        ])
    /// The file that `keys-file` names.
    static let keysFile = ConfigurationKeys(place: "keys-file", names: ["keys"])
    static let cors = ConfigurationKeys(place: "cors", names: ["origins"])
    static let routing = ConfigurationKeys(
        place: "routing", names: ["rule"],
        synonyms: ["policy": "rule", "strategy": "rule", "algorithm": "rule", "balance": "rule"])
    static let modelPattern = ConfigurationKeys(place: "models.PATTERN", names: ["servers", "rule", "priority"])
    static let sticky = ConfigurationKeys(place: "sticky", names: ["ttl", "username-pattern"])
    static let queue = ConfigurationKeys(place: "queue", names: ["max-waiting", "max-wait", "max-predicted-wait"])
    static let maxPredictedWait = ConfigurationKeys(
        place: "queue.max-predicted-wait", names: PriorityClass.allCases.map(\.rawValue))
    static let timeouts = ConfigurationKeys(place: "timeouts", names: ["connect", "first-byte", "between-bytes"])
    static let health = ConfigurationKeys(place: "health", names: ["interval", "timeout", "window", "busy-timeout"])
    static let limits = ConfigurationKeys(place: "limits", names: ["body", "header", "connections", "retry-body"])
    static let modelRule = ConfigurationKeys(place: "model-rules[]", names: ["match", "strip-suffix", "set"])
    static let modelRuleMatch = ConfigurationKeys(
        place: "model-rules[].match", names: ["model", "model-suffix", "system-starts-with"])

    static let all = [
        file, listen, listenTLS, server, tls, key, modelPattern, routing, sticky, queue, maxPredictedWait, timeouts, health,
        limits, cors,
        modelRule,
        modelRuleMatch,
    ]
}

package import Control
package import Proxy

/// One entry of `servers`: an engine, how to reach it, and how much it takes.
package struct ServerSettings: Equatable, Sendable {
    /// The entry's key. Not empty, unique, no control characters; may be in any script.
    package var name: String

    /// Where requests go: `url`, or `addr` with `model-port`.
    package var baseURL: BaseURL

    /// `health-port`: the port for the original's health protocol, at `/llmhealth`. Nil: the engine itself is probed.
    package var llmhealthURL: BaseURL?

    /// `kind`: the kind of engine. Nil (`auto`): detected by probing.
    package var kind: EngineKind?

    /// `request-max`: most requests in flight there, all models together. Nil: as many as the engine reports slots, else no
    /// limit. With a number above the engine's slots, requests wait inside the engine, where the balancer cannot reorder them.
    package var requestMax: Int?

    /// `api-key`: sent as `Authorization: Bearer …`.
    package var apiKey: Secret?

    /// `headers`: sent with every request, in file order; names are valid, unique, and not fields that the balancer sets
    /// itself.
    package var headers: [HeaderField] = []

    /// `instances`: `m-2`, `m-3` … beside `m` are instances of it (`auto`), or models of their own (`off`).
    package var hasInstances = true

    /// `tls`: which certificates to trust and which certificate to present; without effect for `http`.
    package var tls = TLSSettings()

    package init(name: String, baseURL: BaseURL) {
        self.name = name
        self.baseURL = baseURL
    }
}

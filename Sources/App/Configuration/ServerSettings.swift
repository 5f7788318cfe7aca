package import Control
package import Proxy

/// One entry of `servers`: an engine, how to reach it, and how much it takes.
package struct ServerSettings: Equatable, Sendable {
    /// The entry's key. Not empty, unique, no control characters; may be in any script.
    package var name: String

    /// Where requests go: `url`, or `addr` with `model-port`.
    package var baseURL: BaseURL

    /// `health-port`: the original's health protocol is spoken there, at `/llmhealth`. Nil: the engine itself is asked.
    package var llmhealthURL: BaseURL?

    /// `kind`: which engine it is. Nil (`auto`): found out by asking.
    package var kind: EngineKind?

    /// `request-max`: most requests in flight there, all models together. Nil: as many as the engine reports slots, else no
    /// limit. More than the engine has slots moves the waiting into the engine, where the balancer cannot reorder it.
    package var requestMax: Int?

    /// `api-key`: sent as `Authorization: Bearer …`.
    package var apiKey: Secret?

    /// `headers`: sent with every request, in file order; names are valid, unique and not the balancer's own business.
    package var headers: [HeaderField] = []

    /// `tls`: whom to trust there, and who we are; means nothing for `http`.
    package var tls = TLSSettings()

    package init(name: String, baseURL: BaseURL) {
        self.name = name
        self.baseURL = baseURL
    }
}

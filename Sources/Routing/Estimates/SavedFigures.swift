/// What was learned of a model on a server, as it is kept over a restart. Nil: not known.
package struct SavedFigures: Sendable, Equatable, Codable {
    /// The server's name in the configuration.
    package var server: String
    /// Empty for requests whose model the server does not list.
    package var model: String
    package var prefillTokensPerSecond: Double?
    /// Seconds for each token of a single stream.
    package var tokenSeconds: Double?
    package var bytesPerToken: Double?
    /// How long the server takes to load the model.
    package var loadSeconds: Double?
    /// What its prompt cache holds, beside the slots of a llama-server.
    package var cacheTokens: Double?

    package init(
        server: String, model: String, prefillTokensPerSecond: Double? = nil, tokenSeconds: Double? = nil,
        bytesPerToken: Double? = nil, loadSeconds: Double? = nil, cacheTokens: Double? = nil
    ) {
        self.server = server
        self.model = model
        self.prefillTokensPerSecond = prefillTokensPerSecond
        self.tokenSeconds = tokenSeconds
        self.bytesPerToken = bytesPerToken
        self.loadSeconds = loadSeconds
        self.cacheTokens = cacheTokens
    }

    /// Without what cannot be a figure, whatever a file says.
    var plausible: SavedFigures {
        func plausible(_ value: Double?) -> Double? { value.flatMap { (1e-6...1e9).contains($0) ? $0 : nil } }
        return SavedFigures(
            server: server, model: model, prefillTokensPerSecond: plausible(prefillTokensPerSecond),
            tokenSeconds: plausible(tokenSeconds), bytesPerToken: plausible(bytesPerToken),
            loadSeconds: plausible(loadSeconds), cacheTokens: plausible(cacheTokens))
    }

    fileprivate var isEmpty: Bool { self == SavedFigures(server: server, model: model) }
}

extension ServedModel {
    /// Figures of an earlier run count where nothing has been learned yet.
    mutating func restore(_ saved: SavedFigures) {
        if figures == EngineFigures() {
            figures.restore(
                prefillSpeed: saved.prefillTokensPerSecond, tokenTime: saved.tokenSeconds, bytesPerToken: saved.bytesPerToken)
        }
        if let seconds = saved.loadSeconds, load.seconds == nil { load.learn(seconds) }
        if let tokens = saved.cacheTokens { cache.restore(capacity: tokens) }
    }
}

extension Router {
    /// What was learned of each server, in the order of the servers and the models.
    package func savedFigures() -> [SavedFigures] {
        backends.filter { !$0.isRemoved }.flatMap { backend in
            let learned = backend.served.map { served in
                SavedFigures(
                    server: backend.server.name, model: served.name,
                    prefillTokensPerSecond: served.figures.isPrefillProvisional ? nil : served.figures.prefillSpeed,
                    tokenSeconds: served.figures.isTokenTimeProvisional ? nil : served.figures.tokenTime,
                    bytesPerToken: served.figures.bytesPerToken,
                    loadSeconds: served.load.seconds,
                    cacheTokens: served.cache.capacity < .infinity ? served.cache.capacity : nil)
            }
            // Models that nobody has asked for since the restart.
            return (learned + backend.saved.values).filter { !$0.isEmpty }.sorted { $0.model < $1.model }
        }
    }

    /// Figures of an earlier run. They count for models of which nothing has been learned yet.
    mutating func restore(_ saved: [SavedFigures]) {
        for figures in saved {
            guard let index = backends.firstIndex(where: { $0.server.name == figures.server && !$0.isRemoved }) else { continue }
            backends[index].restore(figures.plausible)
        }
    }

    /// One of the machines is not the one that it was in the earlier run. So the others may have changed, too, and one that was slow then
    /// would never be tried.
    mutating func forgetEarlierRun() {
        for index in backends.indices { backends[index].forgetEarlierRun() }
    }
}

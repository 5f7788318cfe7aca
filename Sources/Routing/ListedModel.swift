/// A model in a server's list, with what the engine reports about it.
package struct ListedModel: Sendable, Equatable, Codable {
    package var name: String
    /// Further names under which the engine serves the model.
    package var aliases: [String]
    /// Nil when the engine does not say.
    package var residency: Residency?
    package var traits: ModelTraits
    /// Slots of this model's engine process, where the server has one process for each model; nil when it has not, or does not tell.
    package var slots: Int? = nil
    /// Tokens that the engine's prompt cache holds, all models together; 0 when it is switched off, nil when the engine does not tell.
    package var cacheTokens: Int? = nil

    /// Whether a model is in memory. In order of how soon it can answer.
    package enum Residency: Int, Sendable, Comparable, Codable {
        case loaded
        /// It is being loaded, or it sleeps and is loaded again with the next request.
        case loading
        case unloaded
        /// The engine says that loading it failed.
        case failed

        package static func < (one: Residency, other: Residency) -> Bool { one.rawValue < other.rawValue }
    }

    package init(
        _ name: String, aliases: [String] = [], residency: Residency? = nil, traits: ModelTraits = ModelTraits(),
        slots: Int? = nil, cacheTokens: Int? = nil
    ) {
        self.cacheTokens = cacheTokens
        self.name = name
        self.aliases = aliases
        self.residency = residency
        self.traits = traits
        self.slots = slots
    }
}

/// Properties that differ between different models, and are equal for instances of one model. Nil: the engine does not report
/// the property.
package struct ModelTraits: Sendable, Equatable, Codable {
    /// As the engine writes it: `4.0B`, or the exact number.
    package var parameters: String?
    package var family: String?
    package var quantization: String?
    /// The size of the weights.
    package var bytes: Int?
    /// The longest prompt with its answer.
    package var contextTokens: Int?
    /// It takes images.
    package var sees: Bool?

    package init(
        parameters: String? = nil, family: String? = nil, quantization: String? = nil, bytes: Int? = nil,
        contextTokens: Int? = nil, sees: Bool? = nil
    ) {
        self.contextTokens = contextTokens
        self.sees = sees
        self.parameters = parameters
        self.family = family
        self.quantization = quantization
        self.bytes = bytes
    }

    /// False when a property that is known of both differs.
    ///
    /// Sizes may differ by 1 %, because Ollama counts a model's own settings.
    func mayBelongToSameModel(as other: ModelTraits) -> Bool {
        func agree(_ one: String?, _ other: String?) -> Bool { one == nil || other == nil || one == other }
        guard agree(parameters, other.parameters), agree(family, other.family), agree(quantization, other.quantization) else {
            return false
        }
        guard let bytes, let otherBytes = other.bytes else { return true }
        return abs(Double(bytes) - Double(otherBytes)) <= Double(max(bytes, otherBytes)) / 100
    }
}

/// The models that one server lists, by all their names.
package struct ModelList: Sendable, Equatable {
    package let models: [ListedModel]
    private let indexOfName: [String: Int]

    /// How a server serves a requested model.
    struct Instances: Sendable, Equatable {
        /// The model's own name, then its further instances.
        var names: [String]
        /// The engine does not know the requested name: a request must name the first instance.
        var renamesFirst = false
        var residency: ListedModel.Residency?
        var contextTokens: Int?
        var sees: Bool?
    }

    package init(_ models: [ListedModel]) {
        self.models = models
        var indexOfName: [String: Int] = [:]
        // A model's own name takes precedence over another model's alias.
        for (index, model) in models.enumerated() where indexOfName[ModelName.withoutLatest(model.name)] == nil {
            indexOfName[ModelName.withoutLatest(model.name)] = index
        }
        for (index, model) in models.enumerated() {
            for alias in model.aliases where indexOfName[ModelName.withoutLatest(alias)] == nil {
                indexOfName[ModelName.withoutLatest(alias)] = index
            }
        }
        self.indexOfName = indexOfName
    }

    package var names: [String] { models.map(\.name) }

    /// Whether this is the name of a model here.
    func lists(_ name: String) -> Bool { indexOfName[ModelName.withoutLatest(name)] != nil }

    /// Nil when the model is not listed, or the engine does not say.
    func residency(of name: String) -> ListedModel.Residency? {
        indexOfName[ModelName.withoutLatest(name)].flatMap { models[$0].residency }
    }

    /// Slots of the model's own engine process; nil when the model is not listed, or the engine does not say.
    func slots(of name: String) -> Int? { indexOfName[ModelName.withoutLatest(name)].flatMap { models[$0].slots } }

    /// Tokens that the engine's prompt cache holds; nil when the model is not listed, or the engine does not say.
    func cacheTokens(of name: String) -> Int? { indexOfName[ModelName.withoutLatest(name)].flatMap { models[$0].cacheTokens } }

    /// The model's own name, for any of its names; nil when the model is not listed. `name:latest` is the same as `name`
    /// (Ollama).
    func name(of requested: String) -> String? {
        indexOfName[ModelName.withoutLatest(requested)].map { ModelName.withoutLatest(models[$0].name) }
    }

    /// The instances of a model on this server: the model itself, then `-2`, `-3` … without gaps. Nil when the model is not
    /// listed.
    ///
    /// A reasoning suffix is removed when the name with the suffix is not listed.
    func instances(of requested: String) -> Instances? {
        if let index = indexOfName[ModelName.withoutLatest(requested)] { return instances(at: index, renamesFirst: false) }
        guard let base = ModelName.withoutReasoningSuffix(requested), let index = indexOfName[ModelName.withoutLatest(base)]
        else {
            return nil
        }
        return instances(at: index, renamesFirst: true)
    }

    private func instances(at index: Int, renamesFirst: Bool) -> Instances {
        let base = ModelName.withoutLatest(models[index].name)
        var names = [base]
        while let next = indexOfInstance(names.count + 1, of: index) {
            names.append(ModelName.withoutLatest(models[next].name))
        }
        return Instances(
            names: names, renamesFirst: renamesFirst, residency: models[index].residency,
            contextTokens: models[index].traits.contextTokens, sees: models[index].traits.sees)
    }

    /// The place of `base-NUMBER` in the list, if that is an instance of the model at `index`.
    private func indexOfInstance(_ number: Int, of index: Int) -> Int? {
        let name = "\(ModelName.withoutLatest(models[index].name))-\(number)"
        guard let found = indexOfName[name], ModelName.withoutLatest(models[found].name) == name,
            models[found].traits.mayBelongToSameModel(as: models[index].traits)
        else { return nil }
        return found
    }

    /// The models, without further instances of another one.
    package var withoutInstances: [ListedModel] {
        let further = Set(models.indices.flatMap { instances(at: $0, renamesFirst: false).names.dropFirst() })
        return models.filter { !further.contains(ModelName.withoutLatest($0.name)) }
    }
}

/// Conventions for model names.
package enum ModelName {
    /// The name without a trailing `-low`, `-medium` or `-high`; nil when it has none.
    static func withoutReasoningSuffix(_ model: String) -> String? {
        for suffix in ["-low", "-medium", "-high"] where model.hasSuffix(suffix) && model.utf8.count > suffix.utf8.count {
            return String(model.dropLast(suffix.count))
        }
        return nil
    }

    /// The name without Ollama's default tag `:latest`.
    package static func withoutLatest(_ model: String) -> String {
        model.hasSuffix(":latest") && model.utf8.count > ":latest".utf8.count ? String(model.dropLast(":latest".count)) : model
    }
}

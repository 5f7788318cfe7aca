import Wire

/// The `model-rules` of the configuration, ready to be applied. One for each loop.
struct ModelRuleSet {
    /// So much of the system messages is compared with the prefixes.
    static let searchedSystemText = 4096
    private static let rememberedModels = 1024

    private struct Prepared {
        let rule: ModelRule
        let expression: Regex<AnyRegexOutput>?
    }

    private let rules: [Prepared]
    /// Which rules concern a model by its name alone; most requests end with a look in here.
    private var rulesByModel: [String: [Int]] = [:]

    init(_ rules: [ModelRule]) {
        self.rules = rules.map { rule in
            Prepared(rule: rule, expression: rule.modelPattern.flatMap { try? Regex($0).ignoresCase() })
        }
    }

    /// What the rules make of a request.
    struct Change {
        var model: String
        var fields: [JSON.Member]
    }

    /// Nil when no rule concerns the request. `systemText` is only asked when a rule looks at it.
    mutating func change(model: String, systemText: () -> String) -> Change? {
        let concerned = rulesConcerning(model)
        guard !concerned.isEmpty else { return nil }
        var change = Change(model: model, fields: [])
        var hasChanged = false
        for index in concerned {
            let rule = rules[index].rule
            if !rule.systemPrefixes.isEmpty {
                let text = systemText()
                guard rule.systemPrefixes.contains(where: text.hasPrefix) else { continue }
            }
            hasChanged = true
            if rule.stripSuffix, let suffix = rule.modelSuffixes.first(where: { ends(change.model, in: $0) }) {
                change.model = String(change.model.dropLast(suffix.count))
            }
            for field in rule.set {
                change.fields.removeAll { $0.name == field.name }
                change.fields.append(field)
            }
        }
        return hasChanged ? change : nil
    }

    /// Whether any rule looks at requests for that model.
    mutating func concern(_ model: String) -> Bool { !rules.isEmpty && !rulesConcerning(model).isEmpty }

    private mutating func rulesConcerning(_ model: String) -> [Int] {
        if let known = rulesByModel[model] { return known }
        if rulesByModel.count >= Self.rememberedModels { rulesByModel.removeAll() }
        let concerned = rules.indices.filter { concerns(rules[$0], model) }
        rulesByModel[model] = concerned
        return concerned
    }

    private func concerns(_ prepared: Prepared, _ model: String) -> Bool {
        let rule = prepared.rule
        if rule.modelPattern != nil {
            guard let expression = prepared.expression, (try? expression.firstMatch(in: model)) != nil else { return false }
        }
        return rule.modelSuffixes.isEmpty || rule.modelSuffixes.contains { ends(model, in: $0) }
    }

    /// In any case, as the original; the suffix alone is no model.
    private func ends(_ model: String, in suffix: String) -> Bool {
        model.utf8.count > suffix.utf8.count && model.lowercased().hasSuffix(suffix.lowercased())
    }
}

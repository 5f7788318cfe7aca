import Wire

/// The `model-rules` of the configuration, prepared for use. Each loop has its own set.
struct ModelRuleSet {
    /// The most bytes of the system messages that are compared with the prefixes.
    static let searchedSystemText = 4096
    /// The longest model name, in bytes, in which a pattern is searched. A longer name matches no pattern, because `Regex`
    /// backtracks and the client chooses the name (docs/decisions/0021-patterns-see-short-pieces.md).
    static let searchedName = 256
    /// The number of models for which the matching rules are cached.
    static let rememberedModels = 1024

    private struct Prepared {
        let rule: ModelRule
        let expression: Regex<AnyRegexOutput>?
        let lowercasedSuffixes: [String]
    }

    private let rules: [Prepared]
    /// The rules that match a model's name. Most requests need only this lookup.
    private var rulesByModel: [String: [Int]] = [:]
    var rememberedCount: Int { rulesByModel.count }

    init(_ rules: [ModelRule]) {
        self.rules = rules.map { rule in
            Prepared(
                rule: rule, expression: rule.modelPattern.flatMap { try? Regex($0).ignoresCase() },
                lowercasedSuffixes: rule.modelSuffixes.map { $0.lowercased() })
        }
    }

    /// The changes that the rules make to a request.
    struct Change {
        var model: String
        var fields: [JSON.Member]
    }

    /// Nil when no rule concerns the request. `systemText` is called at most once, and only when a rule needs it.
    mutating func change(model: String, systemText: () -> String) -> Change? {
        let concerned = rulesConcerning(model)
        guard !concerned.isEmpty else { return nil }
        var change = Change(model: model, fields: [])
        var hasChanged = false
        var knownText: String?
        for index in concerned {
            let rule = rules[index].rule
            if !rule.systemPrefixes.isEmpty {
                let text = knownText ?? systemText()
                knownText = text
                guard rule.systemPrefixes.contains(where: text.hasPrefix) else { continue }
            }
            hasChanged = true
            if rule.stripSuffix, let suffix = suffix(of: change.model, among: rules[index].lowercasedSuffixes) {
                change.model = String(change.model.dropLast(suffix.count))
            }
            for field in rule.set {
                change.fields.removeAll { $0.name == field.name }
                change.fields.append(field)
            }
        }
        return hasChanged ? change : nil
    }

    /// Whether any rule applies to requests for that model.
    mutating func concern(_ model: String) -> Bool { !rules.isEmpty && !rulesConcerning(model).isEmpty }

    private mutating func rulesConcerning(_ model: String) -> [Int] {
        if let known = rulesByModel[model] { return known }
        if rulesByModel.count >= Self.rememberedModels { rulesByModel.removeAll() }
        let concerned = rules.indices.filter { concerns(rules[$0], model) }
        rulesByModel[model] = concerned
        return concerned
    }

    private func concerns(_ prepared: Prepared, _ model: String) -> Bool {
        if !prepared.lowercasedSuffixes.isEmpty, suffix(of: model, among: prepared.lowercasedSuffixes) == nil { return false }
        if prepared.rule.modelPattern == nil { return true }
        guard model.utf8.count <= Self.searchedName, let expression = prepared.expression else { return false }
        return (try? expression.firstMatch(in: model)) != nil
    }

    /// The suffix with which the model's name ends, in any case, as in the original. A name that consists only of the suffix
    /// does not match.
    private func suffix(of model: String, among lowercasedSuffixes: [String]) -> String? {
        let name = model.lowercased()
        return lowercasedSuffixes.first { model.utf8.count > $0.utf8.count && name.hasSuffix($0) }
    }
}

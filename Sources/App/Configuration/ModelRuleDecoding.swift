import Proxy
import Wire

// `model-rules`: read here, applied in Proxy.

extension ConfigurationDecoder {
    mutating func modelRules(_ field: Field?) -> [ModelRule] {
        guard let field else { return ModelRule.builtIn }
        return items(field).map { modelRule($0) }
    }

    private mutating func modelRule(_ field: Field) -> ModelRule {
        let fields = object(field, .modelRule)
        let match = object(fields["match"], .modelRuleMatch)
        var rule = ModelRule()
        rule.modelPattern = regex(match["model"])
        rule.modelSuffixes = texts(match["model-suffix"])
        rule.systemPrefixes = texts(match["system-starts-with"])
        rule.stripSuffix = boolean(fields["strip-suffix"]) ?? false
        rule.set = setFields(fields["set"])

        if let strip = fields["strip-suffix"], rule.stripSuffix, match["model-suffix"] == nil {
            report(strip, "there is no suffix to strip", hint: "add model-suffix to match")
        }
        if case .object = field.node.content, fields["strip-suffix"] == nil, fields["set"] == nil, !fields.hasUnknown {
            report(field, "the rule changes nothing", hint: "add set or strip-suffix: true")
        }
        return rule
    }

    /// One text or a list of texts, none of them empty.
    private mutating func texts(_ field: Field?) -> [String] {
        oneOrMore(field).compactMap { item in
            guard let text = text(item) else { return nil }
            if text.isEmpty { report(item, "is empty, so it would match everything", hint: "leave the condition out") }
            return text
        }
    }

    private mutating func setFields(_ field: Field?) -> [JSON.Member] {
        members(field).map { member in
            // Before rules apply, the balancer has already used `model` to choose the server and `stream` to choose how to
            // answer.
            if ["model", "stream"].contains(member.name) {
                report(atKeyOf: member, "a rule cannot set this field", hint: "the client's value decides")
            }
            return JSON.Member(name: member.name, value: member.node.json)
        }
    }
}

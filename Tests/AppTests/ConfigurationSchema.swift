import Wire

/// As much of JSON Schema as `docs/server-list.schema.json` uses. An unknown keyword is an error, so that nothing in the schema
/// goes unchecked.
struct ConfigurationSchema {
    let root: JSON

    init(text: String) throws { root = try JSON(parsing: Array(text.utf8)) }

    /// Where and why the value is not what the schema says; empty when it is.
    func errors(_ value: JSON) -> [String] { errors(value, root, at: "") }

    /// The schema behind a `$ref`.
    func resolved(_ schema: JSON) -> JSON {
        guard let reference = schema["$ref"]?.stringValue else { return schema }
        return root["definitions"]?[String(reference.dropFirst("#/definitions/".count))] ?? .null
    }

    private func errors(_ value: JSON, _ schema: JSON, at path: String) -> [String] {
        guard let members = resolved(schema).objectValue else { return ["\(path): the schema points nowhere"] }
        return members.flatMap { errors(value, keyword: $0.name, $0.value, members, at: path) }
    }

    private func errors(_ value: JSON, keyword: String, _ rule: JSON, _ schema: [JSON.Member], at path: String) -> [String] {
        func require(_ condition: Bool) -> [String] { condition ? [] : ["\(path): \(keyword) \(rule.text)"] }
        func matches(_ rule: JSON) -> Bool { errors(value, rule, at: path).isEmpty }
        switch keyword {
        case "$schema", "title", "description", "default", "definitions", "format": return []
        case "type":
            let types = rule.arrayValue ?? [rule]
            return require(types.contains { Self.isType(value, $0.stringValue ?? "") })
        case "enum": return require(rule.arrayValue?.contains(value) == true)
        case "anyOf": return require(rule.arrayValue?.contains(where: matches) == true)
        case "not": return require(!matches(rule))
        case "required": return require(rule.arrayValue?.allSatisfy { value[$0.stringValue ?? ""] != nil } == true)
        case "minimum": return require(value.doubleValue.map { $0 >= rule.doubleValue ?? .infinity } ?? true)
        case "maximum": return require(value.doubleValue.map { $0 <= rule.doubleValue ?? -.infinity } ?? true)
        case "minLength": return require(value.stringValue.map { $0.count >= rule.intValue ?? .max } ?? true)
        case "minItems": return require(value.arrayValue.map { $0.count >= rule.intValue ?? .max } ?? true)
        case "minProperties": return require(value.objectValue.map { $0.count >= rule.intValue ?? .max } ?? true)
        case "pattern":
            guard let text = value.stringValue, let regex = try? Regex(rule.stringValue ?? "(") else { return [] }
            return require(text.contains(regex))
        case "items":
            return (value.arrayValue ?? []).enumerated().flatMap { errors($0.element, rule, at: "\(path)[\($0.offset)]") }
        case "properties":
            return (value.objectValue ?? []).flatMap { member in
                rule[member.name].map { errors(member.value, $0, at: "\(path).\(member.name)") } ?? []
            }
        case "propertyNames":
            return (value.objectValue ?? []).flatMap { errors(.string($0.name), rule, at: "\(path).\($0.name)") }
        case "additionalProperties":
            let known = schema.first { $0.name == "properties" }?.value
            return (value.objectValue ?? []).filter { known?[$0.name] == nil }.flatMap { member in
                rule == false ? ["\(path).\(member.name): unknown"] : errors(member.value, rule, at: "\(path).\(member.name)")
            }
        default: return ["\(path): the test does not know the keyword \(keyword)"]
        }
    }

    private static func isType(_ value: JSON, _ name: String) -> Bool {
        switch value {
        case .null: name == "null"
        case .bool: name == "boolean"
        case .number: name == "number" || (name == "integer" && value.intValue != nil)
        case .string: name == "string"
        case .array: name == "array"
        case .object: name == "object"
        }
    }
}

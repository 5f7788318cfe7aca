// How single values are read: each function reports problems and then returns nil (or nothing); it also returns nil if there is
// no field. Reports never contain secrets: for a value of the wrong type they name only its kind.

extension ConfigurationDecoder {
    /// Returns the members, and reports every unknown key.
    ///
    /// - Parameter hint: how to write the object, for somebody who has written something else.
    mutating func object(_ field: Field?, _ keys: ConfigurationKeys, hint: String? = nil) -> Fields {
        let members = members(field, hint: hint)
        for member in members where !keys.names.contains(member.name) {
            let hint =
                keys.planned[member.name]
                ?? Suggestion.hint(for: member.name, among: keys.names, synonyms: keys.synonyms)
            report(atKeyOf: member, "unknown key", hint: hint)
        }
        return Fields(members, known: keys.names)
    }

    /// The members of an object with names of the user's choice, in file order.
    mutating func members(_ field: Field?, hint: String? = nil) -> [Field] {
        guard let field else { return [] }
        guard case .object(let members) = field.node.content else {
            mismatch(field, expected: "an object", hint: hint)
            return []
        }
        return members.map(field.child)
    }

    mutating func items(_ field: Field?) -> [Field] {
        guard let field else { return [] }
        guard case .list(let items) = field.node.content else {
            mismatch(field, expected: "a list", hint: "write it in [ ]")
            return []
        }
        return items.enumerated().map { field.child(at: $0.offset, $0.element) }
    }

    /// The items if the field is a list, otherwise the field itself.
    mutating func oneOrMore(_ field: Field?) -> [Field] {
        guard let field else { return [] }
        if case .list = field.node.content { return items(field) }
        return [field]
    }

    mutating func text(_ field: Field?) -> String? {
        guard let field else { return nil }
        guard case .scalar(let scalar) = field.node.content, scalar.isText else {
            mismatch(field, expected: "text", hint: isScalar(field) ? "put it in quotes" : nil)
            return nil
        }
        return scalar.text
    }

    mutating func boolean(_ field: Field?) -> Bool? {
        guard let field else { return nil }
        guard case .scalar(let scalar) = field.node.content, let value = scalar.boolean else {
            mismatch(field, expected: "true or false")
            return nil
        }
        return value
    }

    mutating func integer(_ field: Field?, in range: ClosedRange<Int>) -> Int? {
        guard let field else { return nil }
        guard case .scalar(let scalar) = field.node.content, scalar.isNumber else {
            let isQuotedNumber = isScalar(field) { ConfigurationNode.Scalar.isJSONNumber($0.text) }
            mismatch(field, expected: "a whole number", hint: isQuotedNumber ? "remove the quotes" : nil)
            return nil
        }
        guard let value = Int(scalar.text), range.contains(value) else {
            report(field, "expected a whole number from \(range.lowerBound) to \(range.upperBound), found \(scalar.text)")
            return nil
        }
        return value
    }

    mutating func duration(_ field: Field?, atLeast shortest: Duration = .zero) -> Duration? {
        guard let field else { return nil }
        guard case .scalar(let scalar) = field.node.content,
            let value = scalar.isNumber
                ? Double(scalar.text).flatMap(Quantities.duration(seconds:)) : Quantities.duration(scalar.text)
        else {
            mismatch(field, expected: "a duration", hint: "write \(Quantities.durationForms)")
            return nil
        }
        guard (shortest...Quantities.longestDuration).contains(value) else {
            let bounds = "\(Quantities.text(shortest)) to \(Quantities.text(Quantities.longestDuration))"
            report(field, "expected a duration from \(bounds), found \(scalar.text)")
            return nil
        }
        return value
    }

    /// Nil for `off`; the default where there is no usable value.
    mutating func durationOrOff(_ field: Field?, default standard: Duration?) -> Duration? {
        guard let field else { return standard }
        if isFalse(field) || isScalar(field, where: { $0.isText && $0.text == "off" }) { return nil }
        guard !isScalar(field, where: { $0.text == "0" || $0.text == "0s" }) else {
            report(field, "expected a duration above zero", hint: "write off for none")
            return standard
        }
        return duration(field, atLeast: .milliseconds(1)) ?? standard
    }

    /// In bytes.
    mutating func size(_ field: Field?, atLeast smallest: Int) -> Int? {
        guard let field else { return nil }
        guard case .scalar(let scalar) = field.node.content,
            let value = scalar.isNumber ? Int(scalar.text) : Quantities.size(scalar.text)
        else {
            mismatch(field, expected: "a size", hint: "write \(Quantities.sizeForms)")
            return nil
        }
        guard value >= smallest else {
            report(field, "expected a size of at least \(Quantities.text(bytes: smallest)), found \(scalar.text)")
            return nil
        }
        guard value <= Quantities.largestSize else {
            report(field, "\(scalar.text) is more than any machine has")
            return nil
        }
        return value
    }

    /// A regular expression that compiles.
    mutating func regex(_ field: Field?) -> String? {
        guard let field, let pattern = text(field) else { return nil }
        return checkRegex(pattern, at: field.node.position, path: field.path) ? pattern : nil
    }

    mutating func checkRegex(_ pattern: String, at position: TextPosition, path: String) -> Bool {
        do {
            _ = try Regex(pattern)
            return true
        } catch {
            let isWildcard = pattern.first == "*"
            report(
                at: position, path: path, "not a regular expression: \(error)",
                hint: isWildcard ? "any text is .* in a regular expression" : nil)
            return false
        }
    }

    /// How many groups a valid pattern has: an empty alternative in front always matches, and its match lists them all.
    static func groupCount(_ pattern: String) -> Int {
        guard let regex = try? Regex("|\(pattern)"), let match = "".firstMatch(of: regex) else { return 0 }
        return match.output.count - 1
    }

    /// Accepts `false` for `off`: some people write it, and some tools turn an unquoted `off` into `false`.
    func isFalse(_ field: Field) -> Bool { isScalar(field) { $0.boolean == false } }

    private func isScalar(_ field: Field, where condition: (ConfigurationNode.Scalar) -> Bool = { _ in true }) -> Bool {
        if case .scalar(let scalar) = field.node.content { condition(scalar) } else { false }
    }

    mutating func mismatch(_ field: Field, expected: String, hint: String? = nil) {
        guard field.node.content != .reported else { return }
        report(field, "expected \(expected), found \(found(field.node))", hint: hint)
    }

    /// The kind of value; a short text is shown, unless it came from the environment and may be a secret.
    private func found(_ node: ConfigurationNode) -> String {
        guard case .scalar(let scalar) = node.content, scalar.isText, !scalar.isFromEnvironment, scalar.text.count <= 40 else {
            return node.kind
        }
        return "the text \"\(scalar.text)\""
    }
}

// MARK: - Environment variables

extension ConfigurationDecoder {
    /// The field with the environment's values in its texts, at any depth. Keys are left as they are.
    mutating func filled(_ field: Field) -> Field {
        var result = field
        switch field.node.content {
        case .null, .reported: break
        case .scalar(let scalar):
            do {
                let text = try EnvironmentSubstitution.fill(scalar.text, from: environment)
                guard text != scalar.text else { break }
                result.node.content = .scalar(
                    ConfigurationNode.Scalar(text: text, isQuoted: scalar.isQuoted, isFromEnvironment: true))
            } catch {
                report(field, error.message, hint: error.hint)
                result.node.content = .reported
            }
        case .list(let items):
            let filled = items.enumerated().map { self.filled(field.child(at: $0.offset, $0.element)).node }
            result.node.content = .list(filled)
        case .object(let members):
            let filled = members.map { member in
                var member = member
                member.value = self.filled(field.child(member)).node
                return member
            }
            result.node.content = .object(filled)
        }
        return result
    }
}

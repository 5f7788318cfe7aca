/// A value of the file together with the keys that lead to it.
struct Field {
    /// `servers.PC1.headers`
    let path: String
    /// The last key of the path, or the item's number.
    let name: String
    var node: ConfigurationNode
    /// The position of the key; for an item of a list, the position of the item.
    let keyPosition: TextPosition

    init(path: String, name: String = "", node: ConfigurationNode, keyPosition: TextPosition) {
        self.path = path
        self.name = name
        self.node = node
        self.keyPosition = keyPosition
    }

    func child(_ member: ConfigurationNode.Member) -> Field {
        let step = Self.isPlain(member.name) ? member.name : "\"\(member.name)\""
        return Field(
            path: path.isEmpty ? step : "\(path).\(step)", name: member.name, node: member.value,
            keyPosition: member.namePosition)
    }

    func child(at index: Int, _ node: ConfigurationNode) -> Field {
        Field(path: "\(path)[\(index)]", name: "\(index)", node: node, keyPosition: node.position)
    }

    /// Names with other characters are quoted in paths, so that a dot in a name does not look like a separator.
    private static func isPlain(_ name: String) -> Bool {
        !name.isEmpty && name.allSatisfy { $0.isLetter || $0.isNumber || "-_$".contains($0) }
    }
}

/// The members of an object that has a fixed set of keys.
struct Fields {
    private let byName: [String: Field]

    /// Whether there are other keys, too. Then a key that seems to be missing is most likely a misspelt one, which is reported.
    let hasUnknown: Bool

    init(_ fields: [Field], known: [String]) {
        hasUnknown = !fields.allSatisfy { known.contains($0.name) }
        byName = Dictionary(fields.map { ($0.name, $0) }) { first, _ in first }
    }

    /// Nil when the key is left out or `null`; both mean the same.
    subscript(name: String) -> Field? {
        byName[name].flatMap { $0.node.content == .null ? nil : $0 }
    }

    /// Nil when the key is left out; a `null` is returned as a field.
    func including(null name: String) -> Field? { byName[name] }
}

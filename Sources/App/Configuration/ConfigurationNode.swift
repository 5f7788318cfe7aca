import Wire

/// A value of the file, with its place in it. Unquoted values are read as JSON reads them: an unquoted `true`, `null` or `1e3`
/// has its type, an unquoted `yes`, `on` or `0x1F` is text.
struct ConfigurationNode: Equatable, Sendable {
    enum Content: Equatable, Sendable {
        case null
        case scalar(Scalar)
        case list([ConfigurationNode])
        case object([Member])
        /// A problem that is already reported; code that reads this value reports nothing more.
        case reported
    }

    /// Text, a number, or true and false.
    struct Scalar: Equatable, Sendable {
        var text: String
        /// In quotes, or a block of text: never a number or a boolean.
        var isQuoted: Bool
        /// Holds the value of an environment variable: read as whatever type the key expects.
        var isFromEnvironment = false
    }

    struct Member: Equatable, Sendable {
        var name: String
        var namePosition: TextPosition
        var value: ConfigurationNode
    }

    var content: Content
    var position: TextPosition
}

extension ConfigurationNode.Scalar {
    var isText: Bool { isQuoted || isFromEnvironment || !(isNumber || boolean != nil) }

    /// By the grammar of JSON.
    var isNumber: Bool { (!isQuoted || isFromEnvironment) && Self.isJSONNumber(text) }

    var boolean: Bool? {
        guard !isQuoted || isFromEnvironment else { return nil }
        return switch text {
        case "true", "True", "TRUE": true
        case "false", "False", "FALSE": false
        default: nil
        }
    }

    static func isNull(_ plainText: String) -> Bool {
        ["", "~", "null", "Null", "NULL"].contains(plainText)
    }

    static func isJSONNumber(_ text: String) -> Bool {
        text.wholeMatch(of: #/-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/#) != nil
    }
}

extension ConfigurationNode {
    /// For messages: what kind of value this is.
    var kind: String {
        switch content {
        case .null: "null"
        case .scalar(let scalar) where scalar.isText: "text"
        case .scalar(let scalar): scalar.isNumber ? "a number" : "\(scalar.text)"
        case .list: "a list"
        case .object: "an object"
        case .reported: "a value with an error"
        }
    }
}

extension ConfigurationNode {
    /// The value as JSON; numbers keep their text.
    var json: JSON {
        switch content {
        case .null, .reported: .null
        case .scalar(let scalar) where scalar.isText: .string(scalar.text)
        case .scalar(let scalar): scalar.boolean.map { .bool($0) } ?? .number(scalar.text)
        case .list(let items): .array(items.map(\.json))
        case .object(let members): .object(members.map { JSON.Member(name: $0.name, value: $0.value.json) })
        }
    }
}

/// A JSON document as an ordered tree, for the control plane: engine reports, own endpoints, model rules.
///
/// Bodies that are passed on are never read into a tree; `RequestScanner` reads their bytes. Numbers keep their text, and objects
/// keep their order and duplicates, so that a document can be written again unchanged.
package enum JSON: Equatable, Sendable {
    case null
    case bool(Bool)
    /// The number's own text, for example `1e3`.
    case number(String)
    case string(String)
    case array([JSON])
    case object([Member])

    /// One `"name": value` of an object.
    package struct Member: Equatable, Sendable {
        package var name: String
        package var value: JSON

        package init(name: String, value: JSON) {
            self.name = name
            self.value = value
        }
    }

    /// Why a text is not JSON, and at which byte.
    package struct ParseError: Error, Equatable, Sendable, CustomStringConvertible {
        package let offset: Int
        package let message: String

        package var description: String { "\(message) at byte \(offset)" }
    }

    package init(_ value: Int) { self = .number(String(value)) }

    /// A number. NaN and infinity, which JSON cannot express, become null.
    package init(_ value: Double) { self = value.isFinite ? .number(String(value)) : .null }

    /// A string, or null for nil.
    package init(_ value: String?) { self = value.map { .string($0) } ?? .null }

    /// Parses one whole document.
    package init(parsing bytes: [UInt8]) throws(ParseError) {
        var reader = JSONReader(bytes: bytes)
        self = try reader.document()
    }

    /// The last member with that name. All parsers that the engines use take the last one of several.
    package subscript(name: String) -> JSON? { objectValue?.last { $0.name == name }?.value }

    package subscript(index: Int) -> JSON? {
        guard case .array(let items) = self, items.indices.contains(index) else { return nil }
        return items[index]
    }

    /// The object with that member set, at the end, or without it when the value is nil. A value that is no object stays as it is.
    package func setting(_ name: String, to value: JSON?) -> JSON {
        guard var members = objectValue else { return self }
        members.removeAll { $0.name == name }
        if let value { members.append(Member(name: name, value: value)) }
        return .object(members)
    }

    package var stringValue: String? { if case .string(let value) = self { value } else { nil } }
    package var boolValue: Bool? { if case .bool(let value) = self { value } else { nil } }
    package var arrayValue: [JSON]? { if case .array(let value) = self { value } else { nil } }
    package var objectValue: [Member]? { if case .object(let value) = self { value } else { nil } }
    package var doubleValue: Double? { if case .number(let text) = self { Double(text) } else { nil } }

    /// The number as an integer, if it is one and fits.
    package var intValue: Int? {
        guard case .number(let text) = self else { return nil }
        return Int(text) ?? Double(text).flatMap { Int(exactly: $0) }
    }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByNilLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    package init(stringLiteral value: String) { self = .string(value) }
    package init(integerLiteral value: Int) { self.init(value) }
    package init(floatLiteral value: Double) { self.init(value) }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(nilLiteral: ()) { self = .null }
    package init(arrayLiteral elements: JSON...) { self = .array(elements) }
    package init(dictionaryLiteral elements: (String, JSON)...) {
        self = .object(elements.map { Member(name: $0.0, value: $0.1) })
    }
}

extension JSON {
    /// The document without spaces, in UTF-8.
    package var bytes: [UInt8] {
        var writer = ByteWriter()
        write(into: &writer)
        return writer.bytes
    }

    /// The document without spaces.
    package var text: String { String(decoding: bytes, as: UTF8.self) }

    private func write(into output: inout ByteWriter) {
        switch self {
        case .null: output.write("null")
        case .bool(let value): output.write(value ? "true" as StaticString : "false")
        case .number(let text): output.write(text)
        case .string(let value): output.writeJSON(value)
        case .array(let items):
            output.write("[")
            for (index, item) in items.enumerated() {
                if index > 0 { output.write(",") }
                item.write(into: &output)
            }
            output.write("]")
        case .object(let members):
            output.write("{")
            for (index, member) in members.enumerated() {
                if index > 0 { output.write(",") }
                output.writeJSON(member.name)
                output.write(":")
                member.value.write(into: &output)
            }
            output.write("}")
        }
    }
}

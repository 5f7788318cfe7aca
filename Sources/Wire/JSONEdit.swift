/// Changes fields at the top level of a JSON object without touching any other byte.
///
/// The body is scanned once and no tree is built, because the client decides how large the body is and what it contains.
package enum JSONEdit {
    /// Sets each field: an existing field is replaced (two objects are merged one level deep), and a new field is added at
    /// the end. When `body` has several fields with the same name, the last one is used. `body` must be a valid JSON
    /// document; a document that is not an object is returned unchanged.
    package static func setting(_ fields: [JSON.Member], in body: [UInt8]) -> [UInt8] {
        let start = body.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
        var edits = body.withBytes { Self.edits(setting: fields, in: $0, from: start, mergesObjects: true) }
        guard !edits.isEmpty else { return body }
        edits.sort { $0.range.lowerBound < $1.range.lowerBound }
        var output: [UInt8] = []
        output.reserveCapacity(body.count + edits.reduce(0) { $0 + $1.bytes.count })
        var position = 0
        for edit in edits {
            output.append(contentsOf: body[position..<edit.range.lowerBound])
            output.append(contentsOf: edit.bytes)
            position = edit.range.upperBound
        }
        output.append(contentsOf: body[position...])
        return output
    }

    private struct Edit {
        var range: Range<Int>
        var bytes: [UInt8]
    }

    /// The edits for the object that begins at `start`; empty when no object begins there.
    private static func edits(
        setting fields: [JSON.Member], in body: Bytes, from start: Int, mergesObjects: Bool
    ) -> [Edit] {
        var last: [JSON.Member] = []
        for (index, field) in fields.enumerated() where !fields[(index + 1)...].contains(where: { $0.name == field.name }) {
            last.append(field)
        }
        var walk = ObjectWalk(body, from: start, names: last.map(\.name))
        guard walk.run() else { return [] }
        var edits: [Edit] = []
        var added: [UInt8] = []
        for (field, value) in zip(last, walk.values) {
            if let value {
                if mergesObjects, case .object(let members) = field.value, body[value.lowerBound] == UInt8(ascii: "{") {
                    edits += Self.edits(setting: members, in: body, from: value.lowerBound, mergesObjects: false)
                } else {
                    edits.append(Edit(range: value, bytes: field.value.bytes))
                }
            } else {
                if !added.isEmpty || !walk.isEmpty { added.append(UInt8(ascii: ",")) }
                added += JSON.string(field.name).bytes
                added.append(UInt8(ascii: ":"))
                added += field.value.bytes
            }
        }
        if !added.isEmpty { edits.append(Edit(range: walk.end..<walk.end, bytes: added)) }
        return edits
    }
}

/// Finds the values of a few members of an object in a valid document.
private struct ObjectWalk {
    private let body: Bytes
    private let names: [[UInt8]]
    private var index: Int
    /// For each name, the value of the last member with that name, because the last one of several is used.
    private(set) var values: [Range<Int>?]
    /// The object has no members at all.
    private(set) var isEmpty = true
    /// Where a further member would be written: right before the closing brace.
    private(set) var end = 0

    init(_ body: Bytes, from start: Int, names: [String]) {
        self.body = body
        self.names = names.map { Array($0.utf8) }
        index = start
        values = Array(repeating: nil, count: names.count)
    }

    /// False when no object begins here, or when the object does not end.
    mutating func run() -> Bool {
        skipSpace()
        guard take(UInt8(ascii: "{")) else { return false }
        while true {
            skipSpace()
            guard index < body.count else { return false }
            if body[index] == UInt8(ascii: "}") {
                end = index
                return true
            }
            if take(UInt8(ascii: ",")) { continue }
            guard let name = string() else { return false }
            isEmpty = false
            skipSpace()
            index += 1  // the colon
            skipSpace()
            let start = index
            skipValue()
            guard index > start, index <= body.count else { return false }
            if let wanted = position(of: name) { values[wanted] = start..<index }
        }
    }

    private func position(of name: Range<Int>) -> Int? {
        let raw = body.extracting(name)
        if !raw.contains(UInt8(ascii: "\\")) { return names.firstIndex { $0.elementsEqual(raw) } }
        guard let decoded = JSONString.decode(raw) else { return nil }
        return names.firstIndex { $0.elementsEqual(decoded.utf8) }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard index < body.count, body[index] == byte else { return false }
        index += 1
        return true
    }

    private mutating func skipSpace() {
        while index < body.count, body[index].isJSONSpace { index += 1 }
    }

    /// Skips the string that begins here and returns the range of its text; nil when no string begins here or it does not
    /// end.
    private mutating func string() -> Range<Int>? {
        guard take(UInt8(ascii: "\"")) else { return nil }
        let start = index
        while true {
            index = StringText.end(body, from: index)
            guard index < body.count else { return nil }
            if take(UInt8(ascii: "\"")) { return start..<(index - 1) }
            index += body[index] == UInt8(ascii: "\\") ? 2 : 1
        }
    }

    private mutating func skipValue() {
        var depth = 0
        while index < body.count {
            switch body[index] {
            case UInt8(ascii: "\""):
                guard string() != nil, depth > 0 else { return }
                continue
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                if depth == 0 { return }
                depth -= 1
                if depth == 0 {
                    index += 1
                    return
                }
            case UInt8(ascii: ",") where depth == 0: return
            case let byte where depth == 0 && byte.isJSONSpace: return
            default: break
            }
            index += 1
        }
    }
}

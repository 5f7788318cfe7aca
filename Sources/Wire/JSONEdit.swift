/// Changes fields at the top level of a JSON object without touching any other byte.
package enum JSONEdit {
    /// Sets each field: an existing one is replaced (two objects are merged one level deep), a new one is added at the
    /// end. Of two fields with one name the last one counts. `body` must be a valid JSON document; anything but an object
    /// is returned unchanged.
    package static func setting(_ fields: [JSON.Member], in body: [UInt8]) -> [UInt8] {
        guard let members = topLevelMembers(body) else { return body }
        var edits: [(range: Range<Int>, bytes: [UInt8])] = []
        var added: [JSON.Member] = []
        for (index, field) in fields.enumerated() where !fields[(index + 1)...].contains(where: { $0.name == field.name }) {
            // With duplicates the last one counts: that is the one to change.
            guard let known = members.values.last(where: { $0.name == field.name }) else {
                added.append(field)
                continue
            }
            let old = try? JSON(parsing: Array(body[known.value]))
            edits.append((known.value, merged(old, with: field.value).bytes))
        }
        if !added.isEmpty {
            var text: [UInt8] = []
            for (index, field) in added.enumerated() {
                if index > 0 || !members.values.isEmpty { text.append(UInt8(ascii: ",")) }
                text += JSON.string(field.name).bytes
                text.append(UInt8(ascii: ":"))
                text += field.value.bytes
            }
            edits.append((members.end..<members.end, text))
        }
        var output: [UInt8] = []
        output.reserveCapacity(body.count + edits.reduce(0) { $0 + $1.bytes.count })
        var position = 0
        for edit in edits.sorted(by: { $0.range.lowerBound < $1.range.lowerBound }) {
            output.append(contentsOf: body[position..<edit.range.lowerBound])
            output.append(contentsOf: edit.bytes)
            position = edit.range.upperBound
        }
        output.append(contentsOf: body[position...])
        return output
    }

    private static func merged(_ old: JSON?, with new: JSON) -> JSON {
        guard case .object(var members) = old, case .object(let additions) = new else { return new }
        for addition in additions {
            members.removeAll { $0.name == addition.name }
            members.append(addition)
        }
        return .object(members)
    }

    private struct Members {
        var values: [(name: String, value: Range<Int>)] = []
        /// Where a further member would be written: right before the closing brace.
        var end = 0
    }

    /// Walks over a valid document; nil when it is no object.
    private static func topLevelMembers(_ body: [UInt8]) -> Members? {
        var members = Members()
        var index = 0
        func skipSpace() {
            while index < body.count, [0x20, 0x09, 0x0A, 0x0D].contains(body[index]) { index += 1 }
        }
        func skipString() {
            index += 1
            while index < body.count, body[index] != UInt8(ascii: "\"") {
                index += body[index] == UInt8(ascii: "\\") ? 2 : 1
            }
            index += 1
        }
        func skipValue() {
            var depth = 0
            while index < body.count {
                switch body[index] {
                case UInt8(ascii: "\""):
                    skipString()
                    if depth == 0 { return }
                    continue
                case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
                case UInt8(ascii: "}"), UInt8(ascii: "]"):
                    if depth == 0 { return }
                    depth -= 1
                    if depth == 0 {
                        index += 1
                        return
                    }
                case UInt8(ascii: ",") where depth == 0, 0x20 where depth == 0, 0x09 where depth == 0,
                    0x0A where depth == 0, 0x0D where depth == 0:
                    return
                default: break
                }
                index += 1
            }
        }
        skipSpace()
        guard index < body.count, body[index] == UInt8(ascii: "{") else { return nil }
        index += 1
        while true {
            skipSpace()
            guard index < body.count else { return nil }
            if body[index] == UInt8(ascii: "}") {
                members.end = index
                return members
            }
            if body[index] == UInt8(ascii: ",") {
                index += 1
                continue
            }
            let nameStart = index + 1
            guard body[index] == UInt8(ascii: "\"") else { return nil }
            skipString()
            guard index <= body.count, let name = JSONString.decode(body[nameStart..<max(nameStart, index - 1)]) else {
                return nil
            }
            skipSpace()
            index += 1  // the colon
            skipSpace()
            let valueStart = index
            skipValue()
            guard index > valueStart, index <= body.count else { return nil }
            members.values.append((name, valueStart..<index))
        }
    }
}

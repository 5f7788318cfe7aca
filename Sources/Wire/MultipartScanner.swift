/// Finds the `model` field of a `multipart/form-data` body (uploads of audio and images) while the body arrives.
///
/// Bytes may come in pieces of any size; each is looked at once. Nothing is copied but the head line or the `model` value at
/// hand.
package struct MultipartScanner: Sendable {
    /// A form of more parts is refused.
    static let maximumParts = 1000
    /// Bytes of a part's head, from the boundary to the empty line; a longer one is refused.
    static let maximumHeadLength = 4096

    /// What is known so far. Of several `model` fields the last one counts.
    package private(set) var facts = RequestFacts()
    /// The body cannot be a form with this boundary any more.
    package var hasFailed: Bool { problem != nil }

    /// What the next byte belongs to.
    private enum State: Sendable {
        /// What precedes the first delimiter. `matched` bytes of the delimiter have just been seen.
        case preamble(matched: Int)
        /// A delimiter has ended: a line end or two hyphens must follow.
        case afterDelimiter, delimiterLineFeed, closingHyphen
        case head, headLineFeed
        case content(matched: Int)
        /// The closing delimiter has been seen; whatever follows does not matter.
        case epilogue
    }

    /// CR LF, two hyphens and the boundary. CR occurs only at its beginning, so after a mismatch the search never has to go back.
    private let delimiter: [UInt8]
    // The line break before the first delimiter may be missing.
    private var state = State.preamble(matched: 2)
    /// Bytes of the body before the piece at hand.
    private var offset = 0
    private var problem: RequestScanProblem?

    // The part at hand.
    private var parts = 0
    private var headLength = 0
    private var isModel = false
    private var contentStart = 0
    /// The head line at hand, or the content of a `model` field up to the end of its delimiter.
    private var kept: [UInt8] = []

    /// - Parameter boundary: as `boundary(contentType:)` returned it.
    package init(boundary: String) { delimiter = Array("\r\n--\(boundary)".utf8) }

    /// Looks at the next piece. False as soon as the body cannot be a form with this boundary any more.
    @discardableResult
    package mutating func feed(_ bytes: RawSpan) -> Bool {
        bytes.withBytes { feed($0) }
    }

    /// The body has ended. Throws when it was no form with this boundary.
    package mutating func finish() throws(RequestScanProblem) -> RequestFacts {
        if let problem { throw problem }
        switch state {
        case .epilogue: break
        case .preamble:
            throw RequestScanProblem(message: "the multipart body does not contain its boundary", offset: 0)
        case .afterDelimiter, .delimiterLineFeed, .closingHyphen, .head, .headLineFeed, .content:
            throw RequestScanProblem(message: "the multipart body is cut off", offset: offset)
        }
        facts.bodyLength = offset
        return facts
    }
}

// MARK: - The walk

extension MultipartScanner {
    private mutating func feed(_ bytes: Bytes) -> Bool {
        var index = 0
        while problem == nil, index < bytes.count {
            switch state {
            case .preamble(let matched):
                let found = search(bytes, from: index, matched: matched)
                state = found.isWhole ? .afterDelimiter : .preamble(matched: found.matched)
                index = found.end
            case .content(let matched):
                let found = search(bytes, from: index, matched: matched)
                state = found.isWhole ? .afterDelimiter : .content(matched: found.matched)
                if isModel { keepModel(bytes, index..<found.end, isWhole: found.isWhole) }
                index = found.end
            case .epilogue:
                index = bytes.count
            case .afterDelimiter, .delimiterLineFeed, .closingHyphen, .head, .headLineFeed:
                if let message = take(bytes[index], at: offset + index) { fail(message, at: index) }
                index += 1
            }
        }
        offset += bytes.count
        return problem == nil
    }

    /// How far the search for a delimiter came.
    private struct Search {
        /// The first byte that has not been looked at.
        var end: Int
        var matched: Int
        var isWhole = false
    }

    private func search(_ bytes: Bytes, from start: Int, matched: Int) -> Search {
        var search = Search(end: start, matched: matched)
        while search.end < bytes.count {
            if search.matched == 0 {
                search.end = EightBytes.firstIndex(of: 0x0D, in: bytes, from: search.end)
                guard search.end < bytes.count else { break }
            }
            let byte = bytes[search.end]
            search.end += 1
            if byte == delimiter[search.matched] {
                search.matched += 1
                if search.matched == delimiter.count {
                    search.isWhole = true
                    break
                }
            } else {
                search.matched = byte == 0x0D ? 1 : 0
            }
        }
        return search
    }

    /// Takes a byte after a delimiter or of a part's head; returns what is wrong with it.
    private mutating func take(_ byte: UInt8, at position: Int) -> String? {
        switch state {
        case .afterDelimiter:
            if byte == UInt8(ascii: "-") {
                state = .closingHyphen
            } else {
                guard byte == 0x0D else { return Self.noLineEnd }
                state = .delimiterLineFeed
            }
        case .closingHyphen:
            guard byte == UInt8(ascii: "-") else { return Self.noLineEnd }
            state = .epilogue
        case .delimiterLineFeed:
            guard byte == 0x0A else { return Self.noLineEnd }
            parts += 1
            guard parts <= Self.maximumParts else { return "the form has more than \(Self.maximumParts) parts" }
            headLength = 0
            isModel = false
            kept.removeAll(keepingCapacity: true)
            state = .head
        case .head:
            guard addToHead() else { return Self.longHead }
            guard byte != 0x0A else { return Self.bareLineEnd }
            if byte == 0x0D { state = .headLineFeed } else { kept.append(byte) }
        case .headLineFeed:
            guard addToHead() else { return Self.longHead }
            guard byte == 0x0A else { return Self.bareLineEnd }
            if kept.isEmpty {
                contentStart = position + 1
                // The empty line's end is also the delimiter's beginning, where the part has no content.
                state = .content(matched: 2)
            } else {
                guard !kept.starts(with: delimiter.dropFirst(2)) else {
                    return "a part of the multipart body has no empty line after its head"
                }
                isModel = isModel || ContentDisposition.isField("model", kept)
                kept.removeAll(keepingCapacity: true)
                state = .head
            }
        case .preamble, .content, .epilogue: break
        }
        return nil
    }

    /// Counts a byte of the head; false when that is one too many.
    private mutating func addToHead() -> Bool {
        headLength += 1
        return headLength <= Self.maximumHeadLength
    }

    private static let longHead = "the head of a part is longer than \(maximumHeadLength) bytes"
    private static let noLineEnd = "a multipart boundary is not followed by a line end"
    private static let bareLineEnd = "a line in the head of a part does not end with CR LF"

    /// Keeps a piece of the `model` field's content, which ends with the delimiter when that `isWhole`.
    private mutating func keepModel(_ bytes: Bytes, _ range: Range<Int>, isWhole: Bool) {
        guard kept.count + range.count <= RequestScanner.maximumModelLength + delimiter.count else {
            return fail("the value of `model` is longer than \(RequestScanner.maximumModelLength) bytes", at: range.lowerBound)
        }
        kept.append(bytes, range)
        guard isWhole else { return }
        let length = max(0, kept.count - delimiter.count)
        facts.model = String(decoding: kept.prefix(length), as: UTF8.self)
        facts.modelRange = contentStart..<(contentStart + length)
    }

    private mutating func fail(_ message: String, at index: Int) {
        problem = RequestScanProblem(message: message, offset: offset + index)
    }
}

// MARK: - Header values

extension MultipartScanner {
    /// The `boundary` parameter of a `Content-Type` value. Nil when it is another type or has no usable boundary.
    package static func boundary(contentType: String) -> String? {
        let pieces = contentType.split(separator: ";", omittingEmptySubsequences: true)
        guard let type = pieces.first?.trimmed, type.lowercased() == "multipart/form-data" else { return nil }
        for piece in pieces.dropFirst() {
            let pair = piece.split(separator: "=", maxSplits: 1)
            guard pair.count == 2, pair[0].trimmed.lowercased() == "boundary" else { continue }
            var value = pair[1].trimmed
            if value.count >= 2, value.first == "\"", value.last == "\"" { value = value.dropFirst().dropLast() }
            // RFC 2046: 1 to 70 characters, not ending in a space.
            guard (1...70).contains(value.utf8.count), value.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
            return String(value)
        }
        return nil
    }
}

/// A line of a part's head that says which field the part is.
private enum ContentDisposition {
    /// Whether the line is `Content-Disposition: …; name=FIELD` and the part is no file.
    static func isField(_ name: StaticString, _ line: [UInt8]) -> Bool {
        line.withBytes { isField(name, $0) }
    }

    private static func isField(_ name: StaticString, _ line: Bytes) -> Bool {
        let fieldName: StaticString = "content-disposition:"
        guard FieldName.hasPrefix(line, fieldName) else { return false }
        var hasName = false
        var start = fieldName.utf8CodeUnitCount
        while start < line.count {
            let end = endOfParameter(line, from: start)
            let parameter = trimmed(line.extracting(start..<end))
            // `filename*` as well.
            if FieldName.hasPrefix(parameter, "filename") { return false }
            // `name` may be written in any case, the name itself not: `Model` is another field.
            if FieldName.hasPrefix(parameter, "name=") {
                hasName = hasName || isValue(name, parameter.extracting(5...))
            }
            start = end + 1
        }
        return hasName
    }

    /// The next semicolon outside of quotes, or the line's end.
    private static func endOfParameter(_ line: Bytes, from start: Int) -> Int {
        var isQuoted = false
        var index = start
        while index < line.count {
            switch line[index] {
            case UInt8(ascii: "\""): isQuoted.toggle()
            case UInt8(ascii: "\\") where isQuoted: index += 1
            case UInt8(ascii: ";") where !isQuoted: return index
            default: break
            }
            index += 1
        }
        return line.count
    }

    private static func isValue(_ name: StaticString, _ value: Bytes) -> Bool {
        var value = value
        let quote = UInt8(ascii: "\"")
        if value.count >= 2, value.first == quote, value.last == quote {
            value = value.extracting(1..<(value.count - 1))
        }
        return value.equals(name)
    }

    private static func trimmed(_ bytes: Bytes) -> Bytes {
        let isSpace: (UInt8) -> Bool = { $0 == 0x20 || $0 == 0x09 }
        let start = bytes.firstIndex { !isSpace($0) } ?? bytes.count
        let end = bytes.lastIndex { !isSpace($0) }.map { $0 + 1 } ?? start
        return bytes.extracting(start..<end)
    }
}

extension Substring {
    fileprivate var trimmed: Substring {
        var text = self
        while let first = text.first, first == " " || first == "\t" { text = text.dropFirst() }
        while let last = text.last, last == " " || last == "\t" { text = text.dropLast() }
        return text
    }
}

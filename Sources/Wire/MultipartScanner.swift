/// Finds the `model` field of a `multipart/form-data` body (uploads of audio and images) while the body arrives.
///
/// The body may arrive in pieces of any size, and each byte is examined once. Only the current head line or `model` value is
/// copied.
package struct MultipartScanner: Sendable {
    /// A form with more parts is refused.
    static let maximumParts = 1000
    /// Bytes of a part's head, from the boundary to the empty line; a longer one is refused.
    static let maximumHeadLength = 4096

    /// The facts found so far. The last one of several `model` fields is used.
    package private(set) var facts = RequestFacts()
    /// The body is known not to be a form with this boundary.
    package var hasFailed: Bool { problem != nil }

    /// What the next byte belongs to.
    private enum State: Sendable {
        /// Before the first delimiter. The last `matched` bytes match the beginning of the delimiter.
        case preamble(matched: Int)
        /// A delimiter has ended: a line end or two hyphens must follow.
        case afterDelimiter, delimiterLineFeed, closingHyphen
        case head, headLineFeed
        case content(matched: Int)
        /// After the closing delimiter. Further bytes are ignored.
        case epilogue
    }

    /// CR LF, two hyphens and the boundary. CR occurs only at its beginning, so after a mismatch the search never has to go back.
    private let delimiter: [UInt8]
    // The line break before the first delimiter may be missing.
    private var state = State.preamble(matched: 2)
    /// The number of body bytes before the current piece.
    private var offset = 0
    private var problem: RequestScanProblem?

    // The current part.
    private var parts = 0
    private var headLength = 0
    private var isModel = false
    private var contentStart = 0
    /// The current head line, or the content of a `model` field up to the end of its delimiter.
    private var kept: [UInt8] = []

    /// - Parameter boundary: as `boundary(contentType:)` returned it.
    package init(boundary: String) { delimiter = Array("\r\n--\(boundary)".utf8) }

    /// Reads the next piece. False as soon as the body cannot be a form with this boundary.
    @discardableResult
    package mutating func feed(_ bytes: RawSpan) -> Bool {
        bytes.withBytes { feed($0) }
    }

    /// The body has ended. Throws when it was not a form with this boundary.
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

    /// The result of a search for the delimiter.
    private struct Search {
        /// The first byte that has not been examined.
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

    /// Handles a byte after a delimiter or of a part's head. Returns the error, or nil.
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
                // When the part has no content, the end of the empty line is also the beginning of the delimiter.
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

    /// Counts a byte of the head. False when the head is too long.
    private mutating func addToHead() -> Bool {
        headLength += 1
        return headLength <= Self.maximumHeadLength
    }

    private static let longHead = "the head of a part is longer than \(maximumHeadLength) bytes"
    private static let noLineEnd = "a multipart boundary is not followed by a line end"
    private static let bareLineEnd = "a line in the head of a part does not end with CR LF"

    /// Keeps a piece of the `model` field's content. `isWhole`: the piece ends with the complete delimiter.
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
        let pieces = parameters(contentType)
        guard let type = pieces.first?.trimmed, type.lowercased() == "multipart/form-data" else { return nil }
        for piece in pieces.dropFirst() {
            let pair = piece.split(separator: "=", maxSplits: 1)
            guard pair.count == 2, pair[0].trimmed.lowercased() == "boundary" else { continue }
            var value = pair[1].trimmed
            if value.count >= 2, value.first == "\"", value.last == "\"" { value = value.dropFirst().dropLast() }
            // RFC 2046: 1 to 70 characters, not ending in a space.
            guard (1...70).contains(value.utf8.count), value.utf8.allSatisfy({ (0x20..<0x7F).contains($0) }), value.last != " "
            else { return nil }
            return String(value)
        }
        return nil
    }

    /// The parts between semicolons, except those in quotes.
    private static func parameters(_ contentType: String) -> [Substring] {
        var parts: [Substring] = []
        var isQuoted = false
        var start = contentType.startIndex
        for index in contentType.indices {
            if contentType[index] == "\"" { isQuoted.toggle() }
            guard contentType[index] == ";", !isQuoted else { continue }
            parts.append(contentType[start..<index])
            start = contentType.index(after: index)
        }
        return parts + [contentType[start...]]
    }
}

/// A line of a part's head that says which field the part is.
private enum ContentDisposition {
    /// Whether the line is `Content-Disposition: …; name=FIELD` and the part is not a file.
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
            // Also matches `filename*`.
            if FieldName.hasPrefix(parameter, "filename") { return false }
            // The parameter's name `name` may be in any case, but the field's name is case-sensitive: `Model` is another
            // field.
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

/// Finds the `model` field of a `multipart/form-data` body (audio and image uploads), without copying the parts.
package enum MultipartScanner {
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

    /// The last field named `model` and where its value lies. Throws when the body is not what the boundary promises.
    package static func facts(_ body: RawSpan, boundary: String) throws(RequestScanProblem) -> RequestFacts {
        let result = body.withUnsafeBytes { find($0, boundary: Array("--\(boundary)".utf8)) }
        switch result {
        case .success(let facts): return facts
        case .failure(let problem): throw problem
        }
    }

    /// The same for the beginning of a body; nil when it is malformed so far.
    package static func factsSoFar(_ body: RawSpan, boundary: String) -> RequestFacts? {
        let result = body.withUnsafeBytes { find($0, boundary: Array("--\(boundary)".utf8), isWhole: false) }
        return try? result.get()
    }

    private static func find(
        _ body: UnsafeRawBufferPointer, boundary: [UInt8], isWhole: Bool = true
    ) -> Result<RequestFacts, RequestScanProblem> {
        var facts = RequestFacts()
        facts.bodyLength = body.count
        func problem(_ message: String, _ offset: Int) -> Result<RequestFacts, RequestScanProblem> {
            .failure(RequestScanProblem(message: message, offset: offset))
        }
        guard var delimiter = nextDelimiter(in: body, boundary, from: 0) else {
            return problem("the multipart body does not contain its boundary", 0)
        }
        while true {
            let afterBoundary = delimiter + boundary.count
            if starts(body, with: "--", at: afterBoundary) { return .success(facts) }
            guard starts(body, with: "\r\n", at: afterBoundary) else {
                return problem("a multipart boundary is not followed by a line end", afterBoundary)
            }
            let headStart = afterBoundary + 2
            guard let next = nextDelimiter(in: body, boundary, from: headStart) else {
                return isWhole ? problem("the multipart body is cut off", body.count) : .success(facts)
            }
            guard let headEnd = firstIndex(of: Array("\r\n\r\n".utf8), in: body, from: headStart, to: next) else {
                return problem("a part of the multipart body has no empty line after its head", headStart)
            }
            let head = String(
                decoding: UnsafeRawBufferPointer(rebasing: body[headStart..<min(headEnd, headStart + 4096)]), as: UTF8.self)
            let value = (headEnd + 4)..<max(headEnd + 4, next - 2)
            if isField("model", head), value.count <= RequestScanner.maximumModelLength {
                facts.model = String(decoding: UnsafeRawBufferPointer(rebasing: body[value]), as: UTF8.self)
                facts.modelRange = value
            }
            delimiter = next
        }
    }

    /// The next boundary at the beginning of a line.
    private static func nextDelimiter(in body: UnsafeRawBufferPointer, _ boundary: [UInt8], from start: Int) -> Int? {
        var from = start
        while let found = firstIndex(of: boundary, in: body, from: from, to: body.count) {
            if found == 0 || found >= 2 && body[found - 2] == 0x0D && body[found - 1] == 0x0A { return found }
            from = found + 1
        }
        return nil
    }

    private static func isField(_ name: String, _ head: String) -> Bool {
        head.split(whereSeparator: \.isNewline).contains { line in
            let lower = line.lowercased()
            guard lower.hasPrefix("content-disposition:"), !lower.contains("filename") else { return false }
            return line.split(separator: ";").contains {
                let parameter = $0.trimmed
                // The word `name` in any case, the name itself as it is: `Model` is another field.
                guard parameter.prefix(5).lowercased() == "name=" else { return false }
                let value = parameter.dropFirst(5)
                return value == "\"\(name)\"" || value == name
            }
        }
    }

    private static func starts(_ body: UnsafeRawBufferPointer, with literal: StaticString, at index: Int) -> Bool {
        guard index + literal.utf8CodeUnitCount <= body.count else { return false }
        for offset in 0..<literal.utf8CodeUnitCount where body[index + offset] != literal.utf8Start[offset] { return false }
        return true
    }

    private static func firstIndex(of needle: [UInt8], in body: UnsafeRawBufferPointer, from start: Int, to end: Int) -> Int? {
        guard let first = needle.first else { return nil }
        var index = start
        while index + needle.count <= end {
            if body[index] == first {
                var length = 1
                while length < needle.count, body[index + length] == needle[length] { length += 1 }
                if length == needle.count { return index }
            }
            index += 1
        }
        return nil
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

/// One parsed HTTP/1 head: ranges into the received bytes, and the facts that body framing needs.
///
/// Parsing copies no bytes. A value is meant to be reused: calling `parseRequest` again on the same variable keeps the memory of
/// its field list, so a connection allocates that list once. It is not copyable, so it cannot be copied by accident. A head that
/// two parsers could read differently is refused.
package struct HTTPHead: ~Copyable, Sendable {
    /// A head with more fields is refused.
    static let maximumFields = 200

    /// Fields for which memory is reserved at first.
    private static let usualFields = 12

    /// One header line, as offsets into the head's bytes.
    package struct Field: Sendable {
        package let known: FieldName
        package let name: Range<Int>
        /// Without the white space around it.
        package let value: Range<Int>
        /// The first byte of the next line.
        package let lineEnd: Int
    }

    /// How the message says that its body ends.
    package enum Framing: Equatable, Sendable {
        /// Neither `Content-Length` nor `Transfer-Encoding`. A request then has no body, and an answer's body ends with the
        /// connection.
        case unstated
        case length(Int)
        case chunked
    }

    package private(set) var fields: [Field] = []
    /// The known names among `fields`.
    package private(set) var present = FieldSet()
    /// `1` for HTTP/1.1, `0` for HTTP/1.0.
    package private(set) var minorVersion = 1
    package private(set) var framing = Framing.unstated
    /// `Connection` has this token.
    private(set) var saysClose = false
    private(set) var saysKeepAlive = false
    package private(set) var saysUpgrade = false
    /// `Connection` has other tokens than `close`, `keep-alive` and `upgrade`: names of fields that must not be passed on.
    private(set) var namesConnectionFields = false
    package private(set) var expectsContinue = false
    /// The first byte after the request or status line.
    package private(set) var fieldsStart = 0
    /// The first byte of the empty line.
    private(set) var fieldsEnd = 0

    // Requests only.
    package private(set) var method = 0..<0
    package private(set) var target = 0..<0
    // Answers only.
    package private(set) var status = 0

    package init() {}

    /// Whether the sender wants the connection kept open after this message.
    package var isPersistent: Bool { minorVersion == 1 ? !saysClose : saysKeepAlive && !saysClose }

    /// The first field of that name.
    package func first(_ name: FieldName) -> Field? {
        guard present.contains(name) else { return nil }
        for field in fields where field.known == name { return field }
        return nil
    }

    /// Parses a whole request head (with its empty line, as `HeadEndScanner` found it).
    package mutating func parseRequest(_ bytes: RawSpan) throws(HeadProblem) {
        if let problem = bytes.withBytes({ parse($0, asRequest: true) }) { throw problem }
    }

    /// Parses a whole answer head.
    package mutating func parseAnswer(_ bytes: RawSpan) throws(HeadProblem) {
        if let problem = bytes.withBytes({ parse($0, asRequest: false) }) { throw problem }
    }

    private mutating func parse(_ bytes: Bytes, asRequest: Bool) -> HeadProblem? {
        if fields.isEmpty { fields.reserveCapacity(Self.usualFields) } else { fields.removeAll(keepingCapacity: true) }
        present = FieldSet()
        framing = .unstated
        saysClose = false
        saysKeepAlive = false
        saysUpgrade = false
        namesConnectionFields = false
        expectsContinue = false
        if let problem = asRequest ? requestLine(bytes) : statusLine(bytes) { return problem }
        if let problem = fieldLines(bytes) { return problem }
        return checkFields(bytes, asRequest: asRequest)
    }
}

// MARK: - First lines

extension HTTPHead {
    private mutating func requestLine(_ bytes: Bytes) -> HeadProblem? {
        var index = 0
        while index < bytes.count, bytes[index].isTokenCharacter { index += 1 }
        guard index > 0, index <= 32, index < bytes.count, bytes[index] == 0x20 else { return .badRequestLine }
        method = 0..<index
        let targetStart = index + 1
        index = EightBytes.endOfTarget(bytes, from: targetStart)
        guard index < bytes.count, bytes[index] == 0x20 else {
            let isPartOfTarget = index < bytes.count && (bytes[index] >= 0x7F || bytes[index] == UInt8(ascii: "#"))
            return isPartOfTarget ? .badTarget : .badRequestLine
        }
        guard index > targetStart else { return .badRequestLine }
        target = targetStart..<index
        let isAsterisk = target.count == 1 && bytes[targetStart] == UInt8(ascii: "*") && method.count == 7
        guard bytes[targetStart] == UInt8(ascii: "/") || isAsterisk else { return .badTarget }
        guard let version = minorVersion(bytes, at: index + 1) else { return .unsupportedVersion }
        minorVersion = version
        fieldsStart = index + 11
        guard bytes.count >= fieldsStart, bytes[index + 9] == 0x0D else { return .badRequestLine }
        // The answer to a TRACE would show the client the fields that were added for the server, such as its key. CONNECT is for
        // forward proxies.
        let isForbidden = isMethod(bytes, "TRACE") || isMethod(bytes, "CONNECT")
        return isForbidden ? .methodNotAllowed : nil
    }

    private mutating func statusLine(_ bytes: Bytes) -> HeadProblem? {
        guard let version = minorVersion(bytes, at: 0) else { return .unsupportedVersion }
        minorVersion = version
        guard bytes.count >= 14, bytes[8] == 0x20 else { return .badStatusLine }
        var code = 0
        for index in 9..<12 {
            guard bytes[index].isDigit else { return .badStatusLine }
            code = code * 10 + Int(bytes[index] - UInt8(ascii: "0"))
        }
        guard code >= 100, bytes[12] == 0x20 || bytes[12] == 0x0D else { return .badStatusLine }
        status = code
        var index = 12
        while index < bytes.count, bytes[index] != 0x0D {
            guard bytes[index].isFieldValueCharacter else { return .badStatusLine }
            index += 1
        }
        fieldsStart = index + 2
        return fieldsStart <= bytes.count ? nil : .badStatusLine
    }

    private func isMethod(_ bytes: Bytes, _ name: StaticString) -> Bool { bytes.extracting(method).equals(name) }

    private func minorVersion(_ bytes: Bytes, at start: Int) -> Int? {
        guard start + 8 <= bytes.count else { return nil }
        switch bytes.loadEight(start) {
        case 0x312E_312F_5054_5448: return 1  // "HTTP/1.1", first byte lowest
        case 0x302E_312F_5054_5448: return 0
        default: return nil
        }
    }
}

// MARK: - Field lines

extension HTTPHead {
    private mutating func fieldLines(_ bytes: Bytes) -> HeadProblem? {
        var index = fieldsStart
        while index < bytes.count, bytes[index] != 0x0D {
            let nameStart = index
            if bytes[index] == 0x20 || bytes[index] == 0x09 { return .foldedField }
            while index < bytes.count, bytes[index].isTokenCharacter { index += 1 }
            guard index > nameStart, index < bytes.count, bytes[index] == UInt8(ascii: ":") else { return .badFieldName }
            let name = nameStart..<index
            index += 1
            while index < bytes.count, bytes[index] == 0x20 || bytes[index] == 0x09 { index += 1 }
            let valueStart = index
            index = endOfFieldValue(bytes, from: index)
            guard index + 1 < bytes.count, bytes[index] == 0x0D, bytes[index + 1] == 0x0A else { return .badFieldValue }
            var valueEnd = index
            while valueEnd > valueStart, bytes[valueEnd - 1] == 0x20 || bytes[valueEnd - 1] == 0x09 { valueEnd -= 1 }
            guard fields.count < Self.maximumFields else { return .tooManyFields }
            index += 2
            let known = FieldName.lookUp(bytes.extracting(name))
            present.insert(known)
            fields.append(Field(known: known, name: name, value: valueStart..<valueEnd, lineEnd: index))
        }
        fieldsEnd = index
        return nil
    }

    private func endOfFieldValue(_ bytes: Bytes, from start: Int) -> Int {
        var index = start
        while index &+ 8 <= bytes.count {
            let marks = EightBytes.controlMarks(bytes.loadEight(index))
            if marks == 0 {
                index &+= 8
                continue
            }
            index &+= EightBytes.first(marks)
            guard bytes[index] == 0x09 else { return index }
            index &+= 1
        }
        while index < bytes.count, bytes[index].isFieldValueCharacter { index &+= 1 }
        return index
    }

    private mutating func checkFields(_ bytes: Bytes, asRequest: Bool) -> HeadProblem? {
        var hosts = 0
        var length: Int?
        var transferEncodings = 0
        for field in fields {
            let value = bytes.extracting(field.value)
            switch field.known {
            case .contentLength:
                guard length == nil else { return .repeatedContentLength }
                guard let number = decimal(value) else { return .badContentLength }
                length = number
            case .transferEncoding:
                transferEncodings += 1
                guard transferEncodings == 1, minorVersion == 1,
                    FieldName.equalIgnoringCase(value, "chunked")
                else { return .unknownTransferEncoding }
                framing = .chunked
            case .host:
                hosts += 1
                guard hosts == 1, isHost(value) else { return .badHost }
            case .connection: readConnection(value)
            case .expect: expectsContinue = FieldName.equalIgnoringCase(value, "100-continue")
            default: break
            }
        }
        if let length {
            guard framing == .unstated else { return .lengthAndTransferEncoding }
            framing = .length(length)
        }
        return asRequest && hosts == 0 && minorVersion == 1 ? .missingHost : nil
    }

    private func decimal(_ value: Bytes) -> Int? {
        guard !value.isEmpty, value.count <= 18 else { return nil }
        var number = 0
        for byte in value {
            guard byte.isDigit else { return nil }
            number = number * 10 + Int(byte - UInt8(ascii: "0"))
        }
        return number
    }

    /// Whether the value has only characters of a host name or address and a port: no user, no path.
    private func isHost(_ value: Bytes) -> Bool {
        value.allSatisfy { $0.isHostCharacter }
    }

    private mutating func readConnection(_ value: Bytes) {
        CommaList.forEach(in: value) { token in
            if FieldName.equalIgnoringCase(token, "close") {
                saysClose = true
            } else if FieldName.equalIgnoringCase(token, "keep-alive") {
                saysKeepAlive = true
            } else if FieldName.equalIgnoringCase(token, "upgrade") {
                saysUpgrade = true
            } else {
                namesConnectionFields = true
            }
        }
    }

    /// Whether `Connection` names this field, which must then not be passed on.
    func connectionNames(_ name: Bytes, in bytes: Bytes) -> Bool {
        var found = false
        for field in fields where field.known == .connection {
            CommaList.forEach(in: bytes.extracting(field.value)) { token in
                guard token.count == name.count else { return }
                found = found || zip(token, name).allSatisfy { FieldName.lowercase($0) == FieldName.lowercase($1) }
            }
        }
        return found
    }
}

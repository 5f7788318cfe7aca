/// Finds the empty line that ends an HTTP/1 head, across reads, looking at every byte once.
///
/// Bytes that parsers disagree about (a line feed without its carriage return, a lone carriage return, NUL)
/// are refused here, before anything is interpreted.
package struct HeadEndScanner: Sendable {
    package enum Outcome: Equatable, Sendable {
        case needMore
        /// The head and its empty line are the first `length` bytes.
        case complete(length: Int)
        case refused(HeadProblem)
    }

    /// Bytes already looked at.
    private var scanned = 0
    private var lineStart = 0

    package init() {}

    /// True while no byte of the head has been looked at.
    package var isAtStart: Bool { scanned == 0 }

    /// Looks at what has come since the last call. `bytes` begins at the head's first byte every time.
    package mutating func scan(_ bytes: RawSpan, limit: Int) -> Outcome {
        bytes.withBytes { scan($0, limit: limit) }
    }

    private mutating func scan(_ bytes: Bytes, limit: Int) -> Outcome {
        let end = min(bytes.count, limit)
        var index = scanned
        while index < end {
            if index &+ 8 <= end {
                let marks = EightBytes.lineEndMarks(bytes.loadEight(index))
                if marks == 0 {
                    index &+= 8
                    continue
                }
                index &+= EightBytes.first(marks)
            }
            let byte = bytes[index]
            if byte > 0x0D {
                index += 1
                continue
            }
            if byte == 0x0D {
                guard index + 1 < end else { break }
                guard bytes[index + 1] == 0x0A else { return .refused(.bareCarriageReturn) }
                if index == lineStart { return .complete(length: index + 2) }
                index += 2
                lineStart = index
                continue
            }
            if byte == 0x0A { return .refused(.bareLineFeed) }
            if byte == 0 { return .refused(.nul) }
            index += 1
        }
        scanned = index
        return bytes.count >= limit ? .refused(.headTooLarge) : .needMore
    }
}

extension RawSpan {
    package var startsWithEmptyLine: Bool {
        withBytes { $0.count >= 2 && $0[0] == 0x0D && $0[1] == 0x0A }
    }
}

/// Why a head is refused.
package enum HeadProblem: Error, Equatable, Sendable {
    case bareLineFeed, bareCarriageReturn, nul
    case headTooLarge, tooManyFields
    case badRequestLine, badStatusLine, badTarget, unsupportedVersion
    case badFieldName, badFieldValue, foldedField
    case badContentLength, repeatedContentLength, lengthAndTransferEncoding, unknownTransferEncoding
    case badHost, missingHost
    case methodNotAllowed

    /// What to tell the sender.
    package var message: String {
        switch self {
        case .bareLineFeed: "a line ends with LF alone; HTTP lines end with CR LF"
        case .bareCarriageReturn: "a CR without LF in the head"
        case .nul: "a NUL byte in the head"
        case .headTooLarge: "the request head is larger than limits.header"
        case .tooManyFields: "more than \(HTTPHead.maximumFields) header fields"
        case .badRequestLine: "the request line is not `METHOD target HTTP/1.1`"
        case .badStatusLine: "the status line is not `HTTP/1.1 200 reason`"
        case .badTarget: "the request target must be a path that begins with `/`, in visible ASCII"
        case .unsupportedVersion: "only HTTP/1.0 and HTTP/1.1 are spoken here"
        case .badFieldName: "a header field name is empty, has a space before the colon or a character that is not allowed"
        case .badFieldValue: "a header field value has a control character"
        case .foldedField: "a header field continues on the next line (obsolete folding)"
        case .badContentLength: "Content-Length is not a plain decimal number"
        case .repeatedContentLength: "Content-Length is given more than once"
        case .lengthAndTransferEncoding: "Content-Length and Transfer-Encoding are given together"
        case .unknownTransferEncoding: "the only transfer encoding understood here is `chunked`, once, in HTTP/1.1"
        case .badHost: "Host is given more than once or is not a host name with an optional port"
        case .methodNotAllowed: "TRACE and CONNECT are not for this proxy"
        case .missingHost: "an HTTP/1.1 request needs a Host field"
        }
    }
}

/// Why a head is refused.
package enum HeadProblem: Error, Equatable, Sendable {
    case bareLineFeed, bareCarriageReturn, nul
    case headTooLarge, tooManyFields
    case badRequestLine, badStatusLine, badTarget, unsupportedVersion
    case badFieldName, badFieldValue, foldedField
    case badContentLength, repeatedContentLength, lengthAndTransferEncoding, unknownTransferEncoding
    case badHost, missingHost
    case methodNotAllowed

    /// The message for the sender.
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

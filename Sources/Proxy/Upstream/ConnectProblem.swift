import NIOCore
import NIOPosix

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Describes a connection that could not be opened, or that broke.
package enum ConnectProblem {
    /// Whether this machine is the cause (it is out of descriptors or memory), not the server.
    package static func isShortage(_ error: any Error) -> Bool {
        if let error = error as? NIOConnectionError { return error.connectionErrors.contains { isShortage($0.error) } }
        return (error as? IOError)?.isShortage == true
    }

    package static func text(_ error: any Error) -> String {
        if let error = error as? NIOConnectionError {
            if let first = error.connectionErrors.first { return text(first.error) }
            return (error.dnsAError ?? error.dnsAAAAError).map(text) ?? "cannot find \(error.host)"
        }
        if let error = error as? LookUpFailure { return error.description }
        if let text = TLSFailure.text(error) { return text }
        if let error = error as? ChannelError, case .connectTimeout(let limit) = error {
            return "no connection within \(Duration.nanoseconds(limit.nanoseconds))"
        }
        if let error = error as? IOError {
            return switch error.errnoCode {
            case ECONNREFUSED: "connection refused"
            case ECONNRESET: "connection reset"
            case EHOSTUNREACH, ENETUNREACH: "no route to the host"
            case ETIMEDOUT: "timed out"
            default: String(describing: error)
            }
        }
        return String(describing: error)
    }
}

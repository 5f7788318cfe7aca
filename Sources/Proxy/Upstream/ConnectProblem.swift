import NIOCore
import NIOPosix

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// What is said about a connection that could not be made.
package enum ConnectProblem {
    package static func text(_ error: any Error) -> String {
        if let error = error as? NIOConnectionError {
            return error.connectionErrors.first.map { text($0.error) } ?? "cannot resolve \(error.host)"
        }
        if let error = error as? ChannelError, case .connectTimeout = error { return "no answer within timeouts.connect" }
        if let error = error as? IOError {
            return switch error.errnoCode {
            case ECONNREFUSED: "connection refused"
            case EHOSTUNREACH, ENETUNREACH: "no route to the host"
            case ETIMEDOUT: "timed out"
            default: String(describing: error)
            }
        }
        return String(describing: error)
    }
}

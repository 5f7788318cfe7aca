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
    /// Whether it is this machine's, which is out of descriptors or memory, and none of the server's.
    static func isShortage(_ error: any Error) -> Bool {
        if let error = error as? NIOConnectionError { return error.connectionErrors.contains { isShortage($0.error) } }
        return (error as? IOError)?.isShortage == true
    }

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

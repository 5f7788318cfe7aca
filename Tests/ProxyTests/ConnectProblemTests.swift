import NIOCore
import Testing

@testable import Proxy

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

@Suite("Connections that cannot be made")
struct ConnectProblemTests {
    @Test("what this machine lacks is not the server's fault", arguments: [EMFILE, ENFILE, ENOBUFS, ENOMEM])
    func shortage(code: CInt) {
        #expect(ConnectProblem.isShortage(IOError(errnoCode: code, reason: "socket")))
    }

    @Test("everything else is", arguments: [ECONNREFUSED, EHOSTUNREACH, ETIMEDOUT, EADDRNOTAVAIL])
    func servers(code: CInt) {
        #expect(!ConnectProblem.isShortage(IOError(errnoCode: code, reason: "connect")))
        #expect(!ConnectProblem.isShortage(ChannelError.connectTimeout(.seconds(1))))
    }
}

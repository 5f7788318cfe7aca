import NIOCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Options of every TCP connection, so that a peer that has disappeared silently is detected.
///
/// When nothing is being sent: keep-alive probes after 30 s of silence, then every 10 s; the connection is closed after three
/// unanswered probes. When sending: the connection is closed when data has not been acknowledged for two minutes, or when the
/// peer's window has been closed for two minutes. (A client that stops reading therefore has two minutes; a client that reads
/// slowly is not affected.) Accepted sockets inherit the options of their listener.
enum SocketOptions {
    static let watchful: [(option: ChannelOptions.Types.SocketOption, value: SocketOptionValue)] = {
        var options: [(ChannelOptions.Types.SocketOption, SocketOptionValue)] = [
            (.init(level: .socket, name: .so_keepalive), 1),
            (.init(level: .tcp, name: .tcp_nodelay), 1),
        ]
        #if os(Linux)
            options += [
                (.init(level: .tcp, name: .init(rawValue: TCP_KEEPIDLE)), 30),
                (.init(level: .tcp, name: .init(rawValue: TCP_KEEPINTVL)), 10),
                (.init(level: .tcp, name: .init(rawValue: TCP_KEEPCNT)), 3),
                (.init(level: .tcp, name: .init(rawValue: userTimeout)), 120_000),
            ]
        #endif
        return options
    }()

    /// The kernel's buffer, in bytes, for an answer that is not read yet. When a server closes after its answer, the whole
    /// buffer arrives at once, so this bounds the memory that slow clients can occupy. Enough for 100 MB/s at 1 ms.
    static let upstreamReceiveBuffer: SocketOptionValue = 128 << 10

    /// `TCP_USER_TIMEOUT` of <linux/tcp.h>, in milliseconds.
    private static let userTimeout: CInt = 18
}

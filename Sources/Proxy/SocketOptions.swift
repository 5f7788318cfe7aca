import NIOCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// What every TCP connection gets, so that a peer that has vanished without a word is noticed.
///
/// Waiting, with nothing to send: keep-alive probes after 30 s of silence, every 10 s, given up after three. Sending: what
/// has not been acknowledged, or not been taken by a peer whose window is closed, for two minutes ends the connection. (So a
/// client that stops reading altogether has two minutes, not one that reads slowly.) Sockets that a listener accepts inherit
/// its options.
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

    /// Bytes that the kernel may hold of an answer we do not read yet. When a server closes behind its answer, all of that
    /// comes at once, so it bounds what a thousand slow clients can make us keep. Enough for 100 MB/s at 1 ms.
    static let upstreamReceiveBuffer: SocketOptionValue = 128 << 10

    /// `TCP_USER_TIMEOUT` of <linux/tcp.h>, in milliseconds.
    private static let userTimeout: CInt = 18
}

import NIOCore
import NIOPosix

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

extension ServerBootstrap {
    private static let ipv6Only = ChannelOptions.Types.SocketOption(
        level: .init(rawValue: CInt(IPPROTO_IPV6)), name: .init(rawValue: CInt(IPV6_V6ONLY)))

    /// - Throws: `ListenFailure`.
    func bind(to address: ListenAddress) async throws(ListenFailure) -> any Channel {
        do {
            switch address {
            case .everywhere(let port):
                // One socket takes both families. A machine without IPv6 has no such address.
                do {
                    return try await serverChannelOption(Self.ipv6Only, value: 0)
                        .bind(host: "::", port: port).get()
                } catch let error as IOError where [EAFNOSUPPORT, EADDRNOTAVAIL].contains(error.errnoCode) {
                    return try await bind(host: "0.0.0.0", port: port).get()
                }
            case .tcp(let host, let port): return try await bind(host: host, port: port).get()
            case .unix(let socket):
                try socket.removeStaleFile()
                // Until its permissions are set, nobody else may connect.
                let usual = umask(0o177)
                defer { umask(usual) }
                let channel = try await bind(unixDomainSocketPath: socket.path).get()
                do { try socket.setPermissions() } catch {
                    try? await channel.close()
                    throw error
                }
                return channel
            }
        } catch {
            throw ListenFailure(address: address, reason: error)
        }
    }
}

extension UnixSocket {
    /// A program that ended without cleaning up leaves its socket behind; then nobody listens there.
    ///
    /// - Throws: `EADDRINUSE` when somebody may listen there, or when the file is no socket.
    fileprivate func removeStaleFile() throws(IOError) {
        var information = stat()
        guard lstat(path, &information) == 0 else { return }
        guard information.st_mode & S_IFMT == S_IFSOCK, isAbandoned() else {
            throw IOError(errnoCode: EADDRINUSE, reason: "the file exists")
        }
        unlink(path)
    }

    /// Only a refused connection shows that nobody listens: without the right to connect, or with another kind of socket, somebody may.
    private func isAbandoned() -> Bool {
        guard let address = try? SocketAddress(unixDomainSocketPath: path) else { return false }
        let descriptor = socket(AF_UNIX, Int32(streamType), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        // A full queue would keep us waiting.
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        return address.withSockAddr { connect(descriptor, $0, socklen_t($1)) } != 0 && errno == ECONNREFUSED
    }

    private var streamType: UInt32 {
        #if canImport(Glibc)
            SOCK_STREAM.rawValue
        #else
            UInt32(SOCK_STREAM)
        #endif
    }

    fileprivate func setPermissions() throws(IOError) {
        // First the owner: changing it may take bits away.
        if user != nil || group != nil, lchown(path, user ?? .max, group ?? .max) != 0 {
            throw IOError(errnoCode: errno, reason: "its owner cannot be changed")
        }
        if chmod(path, mode_t(mode)) != 0 { throw IOError(errnoCode: errno, reason: "its permissions cannot be changed") }
    }
}

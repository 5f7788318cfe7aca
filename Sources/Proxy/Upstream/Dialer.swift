import NIOConcurrencyHelpers
package import NIOCore
import NIOPosix
import NIOSSL
package import Routing

/// Opens the proxy's connections to its servers. `Dialer` implements it over TCP and TLS.
protocol UpstreamDialer {
    /// - Returns: a channel on `loop` for which `initialize` was called, or the reason for the failure.
    func connect(
        to server: ServerAddress, within limit: Interval, on loop: any EventLoop, options: Dialer.SocketOptionValues,
        preferred: SocketAddress?, initialize: @escaping @Sendable (any Channel) throws -> Void
    ) -> EventLoopFuture<any Channel>
}

/// Opens connections to servers, for the proxy and for the probes.
///
/// A name may have several addresses. They are tried in order, each at most 250 ms after the previous one, and the first that
/// answers wins (RFC 8305). `initialize` is called for each attempt's channel, so it must create new handlers on each call: a
/// handler belongs to one channel.
package struct Dialer: UpstreamDialer, Sendable {
    package typealias SocketOptionValues = [(option: ChannelOptions.Types.SocketOption, value: SocketOptionValue)]

    private let names: NameResolver

    package init(names: NameResolver) { self.names = names }

    /// - Parameters:
    ///   - limit: for everything together: name lookup, connecting, TLS handshake.
    ///   - preferred: an address of the host to try first.
    /// - Returns: the channel on `loop`. The error of a failure can be described with `ConnectProblem.text`.
    package func connect(
        to server: ServerAddress, within limit: Interval, on loop: any EventLoop, options: SocketOptionValues = [],
        preferred: SocketAddress? = nil, initialize: @escaping @Sendable (any Channel) throws -> Void
    ) -> EventLoopFuture<any Channel> {
        var bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(.nanoseconds(limit.nanoseconds))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if case .tls(let context, let serverName) = server.transport {
                        // For an address, the TLS library itself compares it with the certificate's addresses.
                        let name = serverName ?? (server.literal == nil ? server.host : nil)
                        try channel.pipeline.syncOperations.addHandlers([
                            NIOSSLClientHandler(context: context, serverHostname: name), HandshakeGate(),
                        ])
                    }
                    try initialize(channel)
                }
            }
        for (option, value) in options { bootstrap = bootstrap.channelOption(option, value: value) }
        if let address = server.literal { return bootstrap.connect(to: address) }
        let lookUp = DialLookUp(names.ask(server.host, on: loop), port: server.port, preferred: preferred)
        return bootstrap.resolver(lookUp).connect(host: server.host, port: server.port)
            .flatMapErrorThrowing { [names] error in
                if lookUp.wasCancelled { throw LookUpFailure("the name server did not answer within the limit") }
                names.connectFailed(server.host)
                throw error
            }
    }
}

/// A name's addresses in the form that `ClientBootstrap` expects, for one dial.
private final class DialLookUp: Resolver, Sendable {
    private let question: NameResolver.Question
    private let port: Int
    private let preferred: SocketAddress?
    private let isCancelled = NIOLockedValueBox(false)

    init(_ question: NameResolver.Question, port: Int, preferred: SocketAddress?) {
        self.question = question
        self.port = port
        self.preferred = preferred
    }

    /// Whether the dial ended before the lookup had an answer.
    var wasCancelled: Bool { isCancelled.withLockedValue { $0 } }

    /// SwiftNIO tries these addresses first, so the preferred address is returned here, whatever its family.
    func initiateAAAAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
        addresses { all, preferred in
            all.filter { $0 == preferred } + all.filter { $0 != preferred && $0.protocol == .inet6 }
        }
    }

    func initiateAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
        addresses { all, preferred in all.filter { $0 != preferred && $0.protocol == .inet } }
    }

    private func addresses(
        _ choose: @escaping @Sendable (_ all: [SocketAddress], _ preferred: SocketAddress?) -> [SocketAddress]
    ) -> EventLoopFuture<[SocketAddress]> {
        question.addresses.map { [port, preferred] found in
            let all = found.map { address in
                var address = address
                address.port = port
                return address
            }
            return choose(all, preferred)
        }
    }

    /// The dial has ended before the addresses are known.
    func cancelQueries() {
        isCancelled.withLockedValue { $0 = true }
        question.withdraw()
    }
}

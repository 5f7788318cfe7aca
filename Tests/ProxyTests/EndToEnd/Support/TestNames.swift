import NIOConcurrencyHelpers
import NIOCore
import Proxy

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Host names of the test's own, with addresses of this machine; no name server is asked.
final class TestNames: Sendable {
    private struct State {
        var addresses: [String: [String]] = [:]
        var hanging: Set<String> = []
        var asked: [String: Int] = [:]
    }

    private let state = ConditionLock(value: 0)
    private let box = NIOLockedValueBox(State())

    /// A resolver that knows these names, and those that are added later.
    var resolver: NameResolver {
        NameResolver { [self] host throws(LookUpFailure) in try lookUp(host) }
    }

    func set(_ host: String, _ addresses: [String]) { box.withLockedValue { $0.addresses[host] = addresses } }

    /// Look-ups of it that begin from now on do not end before `release`.
    func hang(_ host: String) { _ = box.withLockedValue { $0.hanging.insert(host) } }

    /// Ends all look-ups that hang, now and later.
    func release() {
        state.lock()
        state.unlock(withValue: 1)
    }

    /// How many look-ups of the name there were.
    func askedFor(_ host: String) -> Int { box.withLockedValue { $0.asked[host] ?? 0 } }

    private func lookUp(_ host: String) throws(LookUpFailure) -> [SocketAddress] {
        let (found, hangs) = box.withLockedValue { state in
            state.asked[host, default: 0] += 1
            return (state.addresses[host], state.hanging.contains(host))
        }
        if hangs {
            state.lock(whenValue: 1)
            state.unlock(withValue: 1)
        }
        guard let found, !hangs else { throw LookUpFailure("no such host") }
        do { return try found.map { try SocketAddress(ipAddress: $0, port: 0) } } catch {
            throw LookUpFailure("\(error)")
        }
    }
}

/// A port of 127.0.0.x that takes no connection and refuses none: its line of connections that wait to be accepted is full, so
/// whoever connects hears nothing.
final class BlackHole: Sendable {
    private let sockets: [CInt]

    init(_ address: String, port: Int) throws {
        let name = try SocketAddress(ipAddress: address, port: port)
        var opened: [CInt] = []
        func open() -> CInt {
            #if canImport(Glibc)
                let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
            #else
                let descriptor = socket(AF_INET, SOCK_STREAM, 0)
            #endif
            opened.append(descriptor)
            return descriptor
        }
        let listener = open()
        guard name.withSockAddr({ bind(listener, $0, socklen_t($1)) }) == 0, listen(listener, 0) == 0 else {
            for descriptor in opened { close(descriptor) }
            throw TimedOut("cannot listen on \(address):\(port): \(errno)")
        }
        // Linux completes one connection more than the length of the line.
        for _ in 0..<2 {
            let client = open()
            _ = fcntl(client, F_SETFL, O_NONBLOCK)
            _ = name.withSockAddr { connect(client, $0, socklen_t($1)) }
        }
        sockets = opened
    }

    deinit { for descriptor in sockets { close(descriptor) } }
}

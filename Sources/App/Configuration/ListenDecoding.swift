import Foundation
import NIOSSL
import Proxy
import Routing

// `listen`: an address, or a list of them.

extension ConfigurationDecoder {
    mutating func listen(_ field: Field?) -> Configuration.Listen {
        var result = Configuration.Listen()
        guard let field else { return result }
        result.listeners = []
        for item in oneOrMore(field) {
            let fields = object(item, .listen)
            let listener = Configuration.Listener(address(fields), tls: listenerTLS(fields["tls"]))
            if let other = result.listeners.first(where: { $0.address.collides(with: listener.address) }) {
                report(item, "\(listener.address) cannot be listened on beside \(other.address)", hint: "remove one of the two")
            }
            result.listeners.append(listener)
            result.names += hostNames(fields["names"])
        }
        if result.listeners.isEmpty, case .list = field.node.content {
            report(field, "no address, so nobody could connect", hint: "leave it out to listen on all addresses")
        }
        return result
    }

    private mutating func hostNames(_ field: Field?) -> [String] {
        var names: [String] = []
        for item in field.map({ items($0) }) ?? [] {
            guard let name = text(item) else { continue }
            if isHostName(name) {
                names.append(name)
            } else {
                report(item, "not a host name", hint: "for example balancer.lan, without scheme or port")
            }
        }
        return names
    }

    private mutating func address(_ fields: Fields) -> ListenAddress {
        if let field = fields["socket"] {
            for name in ["host", "port"] {
                guard let other = fields[name] else { continue }
                report(
                    atKeyOf: other, "given together with socket", hint: "list two addresses: listen: [{ port: … }, { socket: … }]"
                )
            }
            if let tls = fields["tls"] {
                report(atKeyOf: tls, "given together with socket", hint: "nothing leaves this machine there; use its permissions")
            }
            return .unix(unixSocket(field, fields))
        }
        for name in ["mode", "owner"] {
            guard let field = fields[name] else { continue }
            report(atKeyOf: field, "given without socket", hint: "only a socket in the file system has one")
        }
        let port = integer(fields["port"], in: 0...65535) ?? Configuration.Listener.defaultPort
        guard let field = fields["host"], let host = text(field) else { return .everywhere(port: port) }
        if IPAddress(host) == nil, !isHostName(host) {
            report(
                field, "not an address or host name", hint: "for example 127.0.0.1, ::1 or 0.0.0.0, without port or brackets")
        }
        return .tcp(host: host, port: port)
    }

    private mutating func unixSocket(_ field: Field, _ fields: Fields) -> UnixSocket {
        var socket = UnixSocket(path: text(field) ?? "")
        // What the kernel has room for.
        if socket.path.isEmpty || socket.path.utf8.contains(0) || socket.path.utf8.count > 107 {
            report(field, "not a path of 1 to 107 bytes", hint: "for example /run/llama-balancer.sock")
        }
        if let field = fields["mode"], let digits = text(field) {
            if let mode = UInt16(digits, radix: 8), mode <= 0o777 {
                socket.mode = mode
            } else {
                report(field, "not permissions", hint: #"three octal digits, for example "660""#)
            }
        }
        if let field = fields["owner"], let owner = text(field) { setOwner(owner, of: &socket, field) }
        return socket
    }

    /// `user`, `user:group` or `:group`, by name or number.
    private mutating func setOwner(_ owner: String, of socket: inout UnixSocket, _ field: Field) {
        let parts = owner.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let (user, group) = (String(parts[0]), parts.count > 1 ? String(parts[1]) : "")
        if !user.isEmpty {
            socket.user = UInt32(user) ?? getpwnam(user).map { UInt32($0.pointee.pw_uid) }
            if socket.user == nil { report(field, "this machine has no user \(user)") }
        }
        if !group.isEmpty {
            socket.group = UInt32(group) ?? getgrnam(group).map { UInt32($0.pointee.gr_gid) }
            if socket.group == nil { report(field, "this machine has no group \(group)") }
        }
        if user.isEmpty, group.isEmpty { report(field, "names nobody", hint: "user, user:group or :group") }
    }

    private func isHostName(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { (0x21...0x7E).contains($0) } && !text.contains { ":/@[]".contains($0) }
    }
}

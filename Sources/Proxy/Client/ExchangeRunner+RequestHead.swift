import NIOCore
import Routing
import Wire

/// The request as it is sent to its server.
extension ExchangeRunner {
    /// The body sent to a server: unchanged, or with the model name replaced by the chosen instance, and the volatile characters
    /// of a system prompt by constant ones.
    struct OutgoingBody {
        var whole: ByteBuffer
        /// The bytes that replace ranges of the body, in order, without overlaps.
        var replacements: [(range: Range<Int>, bytes: ByteBuffer)] = []

        var count: Int {
            replacements.reduce(whole.readableBytes) { $0 - $1.range.count + $1.bytes.readableBytes }
        }

        func forEachPiece(_ body: (ByteBuffer) -> Void) {
            func part(_ range: Range<Int>) {
                guard let slice = whole.getSlice(at: whole.readerIndex + range.lowerBound, length: range.count),
                    slice.readableBytes > 0
                else { return }
                body(slice)
            }
            var position = 0
            for (range, bytes) in replacements {
                part(position..<range.lowerBound)
                body(bytes)
                position = range.upperBound
            }
            part(position..<whole.readableBytes)
        }
    }

    func outgoingBody(for pool: UpstreamPool) -> OutgoingBody {
        var body = OutgoingBody(whole: request.body)
        if !request.facts.systemTexts.isEmpty, !pool.endpoint.keepsVolatilePrompts {
            for range in loop.memory.volatilePrompts.ranges(in: request.facts, body: request.body.readableBytesSpan) {
                let constant = ByteBuffer(repeating: VolatilePrompts.replacement, count: range.count)
                body.replacements.append((range, constant))
            }
        }
        if let instance = record.grant?.model, let range = request.facts.modelRange, !isRoutedByTarget,
            range.upperBound <= request.body.readableBytes
        {
            let name = scanner.isForm ? Array(instance.utf8) : JSON.string(instance).bytes
            let index = body.replacements.firstIndex { $0.range.lowerBound > range.lowerBound } ?? body.replacements.count
            body.replacements.insert((range, ByteBuffer(bytes: name)), at: index)
        }
        return body
    }

    /// How the body is framed for the server.
    enum OutgoingFraming {
        case none
        case length(Int)
        case chunked
    }

    /// Writes the head into the loop's writer.
    func writeRequestHead(for pool: UpstreamPool, framing: OutgoingFraming) {
        writeRequestHead(for: pool, framing: framing, into: &loop.buffers.head)
    }

    private func writeRequestHead(for pool: UpstreamPool, framing: OutgoingFraming, into writer: inout ByteWriter) {
        let headBytes = request.headBytes
        let source = headBytes.readableBytesSpan
        writer.reset()
        writeTarget(source, prefix: pool.endpoint.pathPrefix, into: &writer)
        writer.write(pool.lines.host)
        let believesPeer =
            head.present.isDisjoint(with: Self.forwardingFields)
            || loop.settings.forwardingTrust.believes(request.peer.address)
        var replaced = believesPeer ? Self.rewritten : Self.rewritten.union(Self.forwardingFields)
        if !loop.settings.keys.isEmpty, !loop.settings.forwardsClientKey { replaced = replaced.union(Self.keyFields) }
        // A stream may have to begin before its answer, and then it cannot be compressed.
        if request.facts.stream == true, loop.settings.keepAliveInterval != nil { replaced.insert(.acceptEncoding) }
        writer.copyFields(of: head, from: source, except: pool.lines.replaced.union(replaced))
        writer.write(pool.lines.added)
        writeForwardingFields(source, believesPeer: believesPeer, into: &writer)
        writer.writeField("X-Request-Id", record.requestID)
        switch framing {
        case .none: break
        case .length(let length):
            writer.write("Content-Length: ")
            writer.write(length)
            writer.write("\r\n")
        case .chunked: writer.write("Transfer-Encoding: chunked\r\n")
        }
        if request.wantsUpgrade { writer.write("Connection: Upgrade\r\nUpgrade: websocket\r\n") }
        writer.endHead()
    }

    private func writeTarget(_ source: RawSpan, prefix: String, into writer: inout ByteWriter) {
        writer.write(source, head.method)
        writer.write(" ")
        writer.write(prefix)
        if case .upstream(_, let restStart) = request.line.kind {
            let rest = (head.target.lowerBound + restStart)..<head.target.upperBound
            if rest.isEmpty || request.line.target.utf8.dropFirst(restStart).first != UInt8(ascii: "/") { writer.write("/") }
            writer.write(source, rest)
        } else if isRoutedByTarget, let instance = record.grant?.model {
            writer.write(Routes.renaming(method: request.line.method, target: request.line.target, to: instance))
        } else {
            writer.write(source, head.target)
        }
    }

    /// Forwarding fields of trusted proxies in front of the balancer are kept and extended.
    private func writeForwardingFields(_ source: RawSpan, believesPeer: Bool, into writer: inout ByteWriter) {
        writer.write("X-Forwarded-For: ")
        if believesPeer, head.present.contains(.forwardedFor) {
            for field in head.fields where field.known == .forwardedFor && !field.value.isEmpty {
                writer.write(source, field.value)
                writer.write(", ")
            }
        }
        // A client of a socket in the file system has no address.
        writer.write(request.peer.entrance == .unix ? "unknown" : request.peer.address)
        writer.write("\r\n")
        if !believesPeer || !head.present.contains(.forwardedProto) {
            writer.write(request.peer.isEncrypted ? "X-Forwarded-Proto: https\r\n" : "X-Forwarded-Proto: http\r\n")
        }
        if !believesPeer || !head.present.contains(.forwardedHost), let host = head.first(.host) {
            writer.write("X-Forwarded-Host: ")
            writer.write(source, host.value)
            writer.write("\r\n")
        }
        writer.write(head.minorVersion == 1 ? "Via: 1.1 " : "Via: 1.0 ")
        writer.write(loop.viaName)
        writer.write("\r\n")
    }

    /// Request fields that are not forwarded unchanged.
    private static let rewritten = FieldSet(.host, .contentLength, .expect, .forwardedFor, .requestID)
    /// Fields set by proxies in front of the balancer. Dropped when the proxies are not trusted.
    static let forwardingFields = FieldSet(
        .forwarded, .forwardedFor, .forwardedProto, .forwardedHost, .forwardedOther, .realIP)
}

import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing
import Wire

/// The codec of NIOHTTP1 (llhttp) as the other parser: whatever ours accepts, it accepts and reads the same.
@Suite("Request heads, read by two parsers")
struct DifferentialHeadTests {
    private struct Reading: Equatable, CustomStringConvertible {
        var method: String
        var target: String
        var minorVersion: Int
        var fields: [String]
        /// Content that belongs to this request, of what follows its head.
        var body: String
        var isWhole: Bool

        var description: String { "\(method) \(target) 1.\(minorVersion) \(fields) body \(body.debugDescription) \(isWhole)" }
    }

    private static let methods = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "PROPFIND"]
    private static let follows = "5\r\nhello\r\n0\r\n\r\nGET /next HTTP/1.1\r\nHost: b\r\n\r\n"

    @Test("agree, over 2,000 random and damaged heads each", arguments: 1...25)
    func agree(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var accepted = 0
        for number in 0..<2_000 {
            let head = damaged(randomHead(&random), &random)
            // llhttp knows a list of methods; any other is no question of parsing.
            guard let ours = ours(head), Self.methods.contains(ours.method) else { continue }
            accepted += 1
            let theirs = theirs(head)
            #expect(theirs == ours, "seed \(seed), head \(number): \(String(decoding: head, as: UTF8.self).debugDescription)")
            guard theirs == ours else { return }
        }
        #expect(accepted > 200, "only \(accepted) heads were accepted: nothing was compared")
    }

    // MARK: Heads

    private func randomHead(_ random: inout SplitMix64) -> [UInt8] {
        let method = random.pick(Self.methods)
        let target = random.pick([
            "/", "/v1/chat/completions", "/a%2Fb//c/../d?x=%20&y=a+b", "/?a=b#c", "*", "http://a/", "/~u;p=1",
        ])
        var text = "\(method) \(target) HTTP/1.\(random.pick(["1", "1", "1", "0"]))\r\n"
        let lines = [
            "Host: a", "Host: a:80", "Content-Length: 5", "Content-Length: 0", "content-length:5", "Transfer-Encoding: chunked",
            "transfer-encoding:  Chunked ", "Connection: close", "Connection: keep-alive, X-A", "X-A: 1", "X-A:",
            "X-B: a, b\t c ",
            "X-\u{e9}: \u{e9}", "Expect: 100-continue", "Upgrade: websocket", "TE: trailers", "Cookie: a=b; c=\"d\"",
        ]
        if random.below(10) > 0 { text += "Host: balancer\r\n" }
        for _ in 0..<random.below(6) { text += random.pick(lines) + "\r\n" }
        return Array((text + "\r\n").utf8)
    }

    private func damaged(_ head: [UInt8], _ random: inout SplitMix64) -> [UInt8] {
        var bytes = head
        let odd: [UInt8] = [0, 9, 10, 11, 13, 32, 34, 43, 44, 45, 48, 53, 58, 59, 64, 127, 128, 255]
        for _ in 0..<[0, 0, 1, 2][random.below(4)] {
            let place = random.below(bytes.count)
            switch random.below(3) {
            case 0: bytes[place] = odd[random.below(odd.count)]
            case 1: bytes.insert(odd[random.below(odd.count)], at: place)
            default: bytes.remove(at: place)
            }
        }
        return bytes
    }

    // MARK: Readings

    /// Nil when it is refused, or is not the whole of what came.
    private func ours(_ bytes: [UInt8]) -> Reading? {
        var scanner = HeadEndScanner()
        guard case .complete(let length) = scanner.scan(bytes.span.bytes, limit: 65_536), length == bytes.count else {
            return nil
        }
        var head = HTTPHead()
        do { try head.parseRequest(bytes.span.bytes) } catch { return nil }
        func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }
        var reading = Reading(
            method: text(head.method), target: text(head.target), minorVersion: head.minorVersion,
            fields: head.fields.map { text($0.name) + "=" + text($0.value) }, body: "", isWhole: false)
        let rest = Array(Self.follows.utf8)
        var reader = BodyReader(request: head)
        let progress = reader.read(rest.span.bytes, from: 0) { reading.body += String(decoding: rest[$0], as: UTF8.self) }
        reading.isWhole = reader.isFinished && !progress.isMalformed
        return reading
    }

    /// The first request of what NIO's decoder makes of the same bytes.
    private func theirs(_ bytes: [UInt8]) -> Reading? {
        let channel = EmbeddedChannel()
        defer { _ = try? channel.finish(acceptAlreadyClosed: true) }
        do {
            try channel.pipeline.syncOperations.addHandler(
                ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes)))
            channel.pipeline.fireChannelActive()
            // What follows the first request may be none: only the first one is compared.
            _ = try? channel.writeInbound(ByteBuffer(bytes: bytes + Array(Self.follows.utf8)))
            guard case .head(let head)? = try channel.readInbound(as: HTTPServerRequestPart.self) else { return nil }
            var reading = Reading(
                method: head.method.rawValue, target: head.uri, minorVersion: head.version.minor,
                // White space at the end of a line is no part of the value (RFC 9112 section 5); this decoder leaves it there.
                fields: head.headers.map { $0.name + "=" + $0.value.trimmingEnd }, body: "", isWhole: false)
            while let part = try channel.readInbound(as: HTTPServerRequestPart.self) {
                switch part {
                case .body(let buffer): reading.body += String(buffer: buffer)
                case .end:
                    reading.isWhole = true
                    return reading
                case .head: return reading
                }
            }
            return reading
        } catch { return nil }
    }
}

extension String {
    fileprivate var trimmingEnd: String {
        var text = self[...]
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return String(text)
    }
}

import Testing

@testable import Wire

/// Random and mutated bytes: nothing may trap, and what two readers say of the same bytes must agree.
@Suite("Whatever the bytes are")
struct RobustnessTests {
    private static let rounds = 20_000

    private static func samples(_ texts: [String]) -> [[UInt8]] { texts.map { Array($0.utf8) } }

    private static let heads = samples([
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.0\r\n\r\n",
        "POST /v1/x?y HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length: 12\r\nConnection: close, x-a\r\nX-A: b\r\n\r\nbody",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nKeep-Alive: timeout=5\r\n\r\n", "HTTP/1.1 204\r\n\r\n",
    ])

    @Test("heads are read or refused, and a copied head never holds what it must not")
    func heads() throws {
        var random = SplitMix64(seed: 1)
        var head = HTTPHead()
        var writer = ByteWriter()
        var accepted = 0
        for _ in 0..<Self.rounds {
            let bytes = random.bytes(like: Self.heads, alphabet: Array("\r\n :,/GETHP1.0chunkeda\t*\0".utf8))
            var scanner = HeadEndScanner()
            let outcome = scanner.scan(bytes.span.bytes, limit: 1 + random.below(300))
            // Read the bytes in any case: refusing them must not need the scanner's help.
            var received = bytes
            if case .complete(let length) = outcome { received = Array(bytes[..<length]) }
            do {
                if random.below(3) == 0 {
                    try head.parseAnswer(received.span.bytes)
                } else {
                    try head.parseRequest(received.span.bytes)
                }
            } catch {
                continue
            }
            guard case .complete = outcome else { continue }
            accepted += 1
            writer.reset()
            writer.copyFields(of: head, from: received.span.bytes, except: FieldSet(.via))
            writer.endHead()
            let copy = writer.bytes
            var again = HTTPHead()
            try again.parseAnswer((Array("HTTP/1.1 200 OK\r\n".utf8) + copy).span.bytes)
            if again.fields.contains(where: { $0.known.isHopByHop }) {
                Issue.record("a hop-by-hop field passed: \(String(decoding: bytes, as: UTF8.self).debugDescription)")
            }
            for field in again.fields {
                let name = Array(copy[(field.name.lowerBound - 17)..<(field.name.upperBound - 17)])
                let isNamed = name.withBytes { name in
                    received.withBytes { head.connectionNames(name, in: $0) }
                }
                if isNamed, field.known != .host, field.known != .contentLength {
                    Issue.record("a field that Connection names passed: \(String(decoding: name, as: UTF8.self))")
                }
            }
        }
        #expect(accepted > 500, "too few of the inputs were heads for this to say much")
    }

    @Test("heads end at the same byte however they come in")
    func headEnds() {
        var random = SplitMix64(seed: 2)
        for _ in 0..<Self.rounds {
            let bytes = random.bytes(like: Self.heads, alphabet: Array("\r\nab: \0".utf8))
            let limit = 1 + random.below(200)
            var whole = HeadEndScanner()
            let expected = whole.scan(bytes.span.bytes, limit: limit)
            var pieces = HeadEndScanner()
            var outcome = HeadEndScanner.Outcome.needMore
            var end = 0
            repeat {
                end = min(bytes.count, end + 1 + random.below(9))
                outcome = pieces.scan(Array(bytes[..<end]).span.bytes, limit: limit)
            } while outcome == .needMore && end < bytes.count
            // In pieces the limit may be noticed before a mistake that lies behind it, never the other way round.
            let isRefused = if case .refused = expected { true } else { false }
            guard outcome == expected || isRefused && outcome == .refused(.headTooLarge) else {
                Issue.record("\(outcome), not \(expected): \(bytes)")
                return
            }
        }
    }

    @Test("chunked bodies are read the same however they come in")
    func chunked() {
        var random = SplitMix64(seed: 3)
        let samples = Self.samples([
            "5\r\nhello\r\n0\r\n\r\nnext", "a;x=y\r\n0123456789\r\n1 \r\nb\r\n0\r\nA: b\r\nC:\r\n\r\n",
            "FFFFFFFFFFFFFFF\r\nabc", "000000000000001\r\na\r\n0\r\n\r\n",
        ])
        for _ in 0..<Self.rounds {
            let bytes = random.bytes(like: samples, alphabet: Array("0123aAfF\r\n;: x".utf8))
            let whole = Self.walk(bytes, pieces: [bytes.count])
            var sizes: [Int] = []
            while sizes.reduce(0, +) < bytes.count { sizes.append(1 + random.below(5)) }
            let cut = Self.walk(bytes, pieces: sizes)
            guard whole.content == cut.content, whole.end == cut.end, whole.isMalformed == cut.isMalformed else {
                Issue.record("differs in pieces of \(sizes): \(String(decoding: bytes, as: UTF8.self).debugDescription)")
                return
            }
        }
    }

    /// Content, where the body ended (nil: not yet), and whether it was malformed.
    private static func walk(_ bytes: [UInt8], pieces: [Int]) -> (content: [UInt8], end: Int?, isMalformed: Bool) {
        var reader = ChunkedReader()
        var content: [UInt8] = []
        var start = 0
        for size in pieces {
            let piece = Array(bytes[start..<min(bytes.count, start + size)])
            var position = 0
            walk: while true {
                switch reader.next(piece.span.bytes, &position) {
                case .content(let range): content += piece[range]
                case .needMore: break walk
                case .finished: return (content, start + position, false)
                case .malformed: return (content, nil, true)
                }
            }
            start += piece.count
        }
        return (content, nil, false)
    }

    private static let documents = samples([
        #"{"model":"m","stream":true,"messages":[{"role":"system","content":"a\u00e9\n"}],"user":"u","prompt_cache_key":"k"}"#,
        #"{"messages":[{"content":[{"type":"text","text":"日本"}],"role":"developer"}],"model":"\ud83d\ude00","n":-1.5e+3}"#,
        #"{"model":"a","x":{"model":"b"},"model":"c","system":[{"text":"s"}]}"#, "[1,2,[true,null,\"model\"]]", "{}", " 0 ",
        #"{"\u006dodel" : "x\\y" , "a" : [ ] , "b" : { } }"#, #"{"model":null,"model":5}"#, #""model""#,
    ])
    private static let documentAlphabet = Array("{}[]:,\"\\ \n0123-+.eEtrufalsnmodu\u{1}".utf8)

    @Test("documents are accepted by the scanner exactly when the tree reader accepts them, with the same model")
    func scannerAgainstReader() {
        var random = SplitMix64(seed: 4)
        var scanner = RequestScanner()
        var accepted = 0
        for _ in 0..<Self.rounds {
            let bytes = random.bytes(like: Self.documents, alphabet: Self.documentAlphabet)
            scanner.reset()
            var start = 0
            while start < bytes.count {
                let end = min(bytes.count, start + 1 + random.below(random.below(2) == 0 ? 4 : 200))
                scanner.feed(Array(bytes[start..<end]).span.bytes)
                start = end
            }
            let facts = try? scanner.finish()
            let tree = try? JSON(parsing: bytes)
            if tree != nil { accepted += 1 }
            let text = String(decoding: bytes, as: UTF8.self).debugDescription
            guard (facts == nil) == (tree == nil) else {
                Issue.record("the scanner \(facts == nil ? "refuses" : "accepts"), the reader does not: \(text)")
                return
            }
            guard let facts, let tree else { continue }
            guard facts.model == tree["model"]?.stringValue, facts.user == tree["user"]?.stringValue,
                facts.promptCacheKey == tree["prompt_cache_key"]?.stringValue, facts.stream == tree["stream"]?.boolValue
            else {
                Issue.record("\(facts) of \(text)")
                return
            }
            if let range = facts.modelRange {
                guard let value = try? JSON(parsing: Array(bytes[range])), value.stringValue == facts.model else {
                    Issue.record("the range of `model` holds \(bytes[range]) in \(text)")
                    return
                }
            }
            _ = facts.systemText(in: bytes.span.bytes, limit: random.below(40))
        }
        #expect(accepted > 1_000, "too few of the inputs were JSON for this to say much")
    }
}

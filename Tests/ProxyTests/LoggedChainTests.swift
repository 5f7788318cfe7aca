import Testing
import Wire

@testable import Proxy
@testable import Routing

@Suite("What the access log tells of a prompt")
struct LoggedChainTests {
    /// A prompt of messages of these lengths, with links inside long ones. Equal beginnings have equal hashes.
    private func prompt(_ lengths: [Int]) -> PromptChain {
        var chain = PromptChain(length: 0)
        for length in lengths {
            chain.lastMessageStart = chain.length
            for end in stride(from: 1024, to: length, by: 1024) { link(chain.length + end, false, &chain) }
            chain.length += length
            link(chain.length, true, &chain)
        }
        return chain
    }

    private func link(_ end: Int, _ endsMessage: Bool, _ chain: inout PromptChain) {
        let before = chain.links.last?.hash ?? 1
        chain.links.append(
            .init(hash: before &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(end), end: UInt32(end), endsMessage: endsMessage))
    }

    private func logged(_ chain: PromptChain) throws -> [String] {
        var line = ByteWriter()
        line.write("{\"x\":0")
        LoggedChain(chain).write(into: &line)
        line.write("}")
        let json = try JSON(parsing: line.bytes)
        #expect(json["prompt_bytes"]?.intValue == chain.length)
        #expect(json["last_message_bytes"]?.intValue == chain.length - chain.lastMessageStart)
        return (json["chain"]?.stringValue ?? "").split(separator: " ").map { String($0) }
    }

    @Test("a turn of a conversation has the end of the last one, however long the conversation is")
    func nextTurn() throws {
        var lengths = [24_000, 500]
        var last = try logged(prompt(lengths)).last
        for turn in 0..<200 {
            lengths += turn % 10 == 9 ? [300, 2000, 40, 5, 9, 7] : [300, 2000 + turn]
            let boundaries = try logged(prompt(lengths))
            #expect(boundaries.contains(try #require(last)), "turn \(turn)")
            last = boundaries.last
        }
    }

    @Test("prompts that begin alike have boundaries in common that show at least two thirds of it")
    func shared() throws {
        for shared in [2000, 10_000, 50_000, 300_000, 2_000_000] {
            let chains = try [700, 90_000].map { own -> [String] in
                var chain = prompt([shared + own])
                // The hashes differ from there on.
                for index in chain.links.indices where chain.links[index].end > shared { chain.links[index].hash ^= UInt64(own) }
                return try logged(chain)
            }
            let common = try #require(chains[0].last { chains[1].contains($0) })
            let end = try #require(common.split(separator: ":").first.flatMap { Int($0) })
            #expect(Double(end) >= Double(shared) / 1.5 - 1024 && end <= shared, "\(shared): \(end)")
        }
    }

    @Test("the first messages and the last ones are there, marked as messages")
    func messages() throws {
        let boundaries = try logged(prompt(Array(repeating: 100, count: 100)))
        let ends = Set(boundaries.filter { $0.contains(".") }.compactMap { $0.split(separator: ".").first.flatMap { Int($0) } })
        #expect(ends.isSuperset(of: [100, 200, 300, 400]))
        #expect(ends.isSuperset(of: Set(stride(from: 8900, through: 10_000, by: 100))))
    }

    @Test("no line has more than 56 boundaries")
    func bounded() throws {
        var chain = prompt(Array(repeating: 3, count: 4000) + [7_000_000])
        for end in stride(from: 10_000_000, through: Int(UInt32.max), by: 10_000_000) { link(end, false, &chain) }
        chain.length = Int(UInt32.max)
        let count = try logged(chain).count
        #expect(count > 45 && count <= LoggedChain.mostLinks)
    }

    @Test("the prompt's own hashes cannot be seen")
    func secret() throws {
        let chain = prompt([5000, 100, 100])
        let boundaries = try logged(chain)
        let again = try logged(chain)
        #expect(boundaries == again && boundaries.count == chain.links.count)
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        for link in chain.links {
            for shift in [0, 16] as [UInt64] {
                let open = String(
                    (1...8).map { alphabet[Int(truncatingIfNeeded: (link.hash << shift) >> UInt64(64 - 6 * $0)) & 63] })
                #expect(!boundaries.contains { $0.hasSuffix(open) })
            }
        }
    }

    @Test("a prompt whose content is not known has its length only")
    func unknown() throws {
        var line = ByteWriter()
        LoggedChain(PromptChain(length: 700)).write(into: &line)
        #expect(String(decoding: line.bytes, as: UTF8.self) == ",\"prompt_bytes\":700")
    }
}

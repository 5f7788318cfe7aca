import Testing

@testable import Routing

@Suite("Prompt chains")
struct PromptChainTests {
    @Test(
        "common links end where the contents differ, or where one ends",
        arguments: [
            ([], [], 0), ([1], [], 0), ([1], [2], 0), ([1, 2, 3], [1, 2, 3], 3), ([1, 2, 3], [1, 2], 2), ([1], [1, 2, 3, 4], 1),
            ([1, 2, 3, 4, 5], [1, 2, 9, 4, 5], 2), ([1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, 6, 8], 6), ([2, 1], [1, 2], 0),
        ] as [([Int], [Int], Int)])
    func commonLinks(one: [Int], other: [Int], expected: Int) {
        let (one, other) = (PromptChain(words: one), PromptChain(words: other))
        #expect(one.commonLinks(with: other) == expected)
        #expect(other.commonLinks(with: one) == expected)
    }

    @Test("common links are those that a walk from the beginning finds", arguments: 1...3 as ClosedRange<UInt64>)
    func commonLinksByWalking(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        for _ in 0..<3_000 {
            let (one, other) = (PromptChain.random(&random, longest: 12), PromptChain.random(&random, longest: 12))
            let walked = zip(one.links, other.links).prefix { $0.hash == $1.hash }.count
            #expect(one.commonLinks(with: other) == walked)
        }
    }

    @Test("a prompt stands before those that go on with it, and nothing stands before itself")
    func beginningsFirst() {
        let (short, long) = (PromptChain(words: [1, 2]), PromptChain(words: [1, 2, 3]))
        #expect(short.isBefore(long) && !long.isBefore(short))
        #expect(!short.isBefore(short) && !PromptChain(words: []).isBefore(PromptChain(words: [])))
        #expect(PromptChain(words: []).isBefore(short) && !short.isBefore(PromptChain(words: [])))
    }

    @Test("the order is strict and total: of any three, it agrees with itself", arguments: 1...3 as ClosedRange<UInt64>)
    func strictOrder(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        for _ in 0..<5_000 {
            let (a, b, c) = (PromptChain.random(&random), PromptChain.random(&random), PromptChain.random(&random))
            #expect(!(a.isBefore(b) && b.isBefore(a)))
            #expect((a == b) == (!a.isBefore(b) && !b.isBefore(a)))
            if a.isBefore(b), b.isBefore(c) { #expect(a.isBefore(c)) }
        }
    }

    @Test("prompts that begin alike stand together", arguments: 1...3 as ClosedRange<UInt64>)
    func neighbours(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        for _ in 0..<200 {
            let sorted = (0..<20).map { _ in PromptChain.random(&random) }.sorted { $0.isBefore($1) }
            for index in 0..<18 {
                let near = sorted[index].commonLinks(with: sorted[index + 1])
                #expect(sorted[index].commonLinks(with: sorted[index + 2]) <= near)
            }
        }
    }
}

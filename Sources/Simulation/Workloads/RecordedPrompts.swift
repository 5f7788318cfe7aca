import Routing

/// Turns the chains of recorded prompts into prompts for the engine and for the router.
struct RecordedPrompts {
    private struct Known {
        let recorded: RecordedRequest
        let model: Int
        /// The last boundary of its prompt.
        let last: Int?
        var conversation: Int
    }

    /// What a template adds to a message, at most.
    private static let roleTokens = 16

    /// Of a prompt whose tokens nobody told. Other prompts may say that a token has next to no bytes.
    private static let mostTokens = 100_000_000.0

    /// In the order in which they were asked for first.
    private(set) var models: [String] = []
    private var bytesPerToken: [Double] = []
    private var tree = BoundaryTree()
    private var known: [Known] = []

    init(_ recorded: [RecordedRequest]) {
        var numbers: [String: Int] = [:]
        var sums: [(bytes: Double, tokens: Double)] = []
        for (index, request) in recorded.enumerated() {
            let model = numbers[request.model] ?? models.count
            if model == models.count {
                numbers[request.model] = model
                models.append(request.model)
                sums.append((0, 0))
            }
            let last = tree.add(request.prompt, model: model)
            known.append(Known(recorded: request, model: model, last: last, conversation: index))
            guard let tokens = request.promptTokens, tokens > 0, request.prompt.length > 0 else { continue }
            sums[model].bytes += Double(request.prompt.length)
            sums[model].tokens += Double(tokens)
        }
        bytesPerToken = sums.map { $0.tokens > 0 ? $0.bytes / $0.tokens : Double(PromptBuilder.bytesPerToken) }
    }

    /// The answer of the request with that number.
    func answer(of number: Int) -> TokenSequence.Segment {
        .init(content: mixed(UInt64(number) | 1 << 63), tokens: max(1, known[number].recorded.answerTokens))
    }

    /// The prompt of the request with that number, and its conversation: the number of the request that began it. Must be called for
    /// one request after the other.
    mutating func prompt(of number: Int) -> (prompt: PromptBuilder, conversation: Int) {
        let path = tree.path(to: known[number].last)
        let common = path.firstIndex { tree[$0].tokens == nil } ?? path.count
        var predecessor: Int?
        if common > 0 {
            let earlier = tree[path[common - 1]].request
            if isContinued(known[earlier].recorded.prompt, upTo: tree[path[common - 1]].link) {
                known[number].conversation = known[earlier].conversation
                if known[earlier].last == path[common - 1] { predecessor = earlier }
            }
        }
        setTokens(of: path[common...], of: number, after: predecessor)
        return (built(path, of: number), known[number].conversation)
    }

    /// As the router sees it: most of the last message is there.
    private func isContinued(_ prompt: PromptChain, upTo link: PromptChain.Link) -> Bool {
        Int(link.end) > prompt.lastMessageStart + (prompt.length - prompt.lastMessageStart) / 2
    }

    /// Spreads the request's new tokens over its new boundaries.
    ///
    /// - Parameter predecessor: the request whose whole prompt is the part that is not new.
    private mutating func setTokens(of new: ArraySlice<Int>, of number: Int, after predecessor: Int?) {
        guard let first = new.first else { return }
        let length = known[number].recorded.prompt.length
        let parent = tree[first].parent.map { tree[$0] }
        var (bytes, tokens) = (Int(parent?.link.end ?? 0), parent?.tokens ?? 0)
        let all = self.tokens(of: number, atLeast: tokens)
        func share(upTo end: UInt32) -> Int {
            Int(Double(all - tokens) * min(1, max(0, Double(Int(end) - bytes) / Double(max(1, length - bytes)))))
        }
        var left = new
        if let predecessor, let end = new.firstIndex(where: { tree[$0].link.endsMessage }) {
            let (answer, link) = (answer(of: predecessor), tree[new[end]].link)
            // A much shorter message is an answer whose thoughts were left out, a much longer one is no answer.
            let lengths = answer.tokens / 2...answer.tokens * 2 + Self.roleTokens
            if Int(link.end) < length, lengths.contains(share(upTo: link.end)), tokens + answer.tokens < all {
                (bytes, tokens) = (Int(link.end), tokens + answer.tokens)
                tree[first].content = answer.content
                for place in new[...end] { tree.set(tokens: tokens, of: place, from: number) }
                left = new[(end + 1)...]
            }
        }
        for place in left {
            let end = tree[place].link.end
            (bytes, tokens) = (Int(end), tokens + share(upTo: end))
            tree.set(tokens: tokens, of: place, from: number)
        }
    }

    /// The length of the request's prompt, as its engine told it, or as its bytes let expect.
    private func tokens(of number: Int, atLeast common: Int) -> Int {
        let request = known[number].recorded
        let expected = Double(request.prompt.length) / bytesPerToken[known[number].model]
        return max(1, common, request.promptTokens ?? Int(min(Self.mostTokens, expected.rounded())))
    }

    private func built(_ path: [Int], of number: Int) -> PromptBuilder {
        let chain = known[number].recorded.prompt
        var prompt = PromptBuilder()
        for place in path {
            let node = tree[place]
            prompt.tokens.append(.init(content: node.content, tokens: (node.tokens ?? 0) - prompt.tokens.count))
            prompt.chain.links.append(node.link)
        }
        // Nobody knows whether another prompt has what follows, too.
        let left = tokens(of: number, atLeast: prompt.tokens.count) - prompt.tokens.count
        if path.isEmpty || Int(prompt.chain.links.last?.end ?? 0) < chain.length {
            prompt.tokens.append(.init(content: mixed(UInt64(number) | 1 << 62), tokens: left))
        }
        (prompt.chain.length, prompt.chain.lastMessageStart) = (chain.length, chain.lastMessageStart)
        prompt.chain.images = chain.images
        return prompt
    }
}

// Rules of other load balancers, to compare with: `llama-balancer simulate` plays them. What they remember changes only when a request
// is granted, so that choosing stays without effect.

/// What the rules `round-robin`, `cache-aware` and `prefix-hash` remember.
struct ComparisonRules: Sendable {
    /// Of one server. With links that are a kilobyte apart, prompts of 64 MB: SGLang's `max_tree_size`.
    private let rememberedLinks: Int

    /// round-robin: the server that got the last request for a model.
    private(set) var lastServer: [String: BackendID] = [:]
    /// cache-aware: the links of the prompts that each server got.
    private(set) var links: [BackendID: RecentHashes] = [:]
    /// prefix-hash: the links by which conversations are told apart (`conversationKey`).
    private(set) var conversations: RecentHashes

    init(rememberedLinks: Int = 65_536) {
        self.rememberedLinks = rememberedLinks
        conversations = RecentHashes(limit: rememberedLinks)
    }

    /// A request that counts was granted a server.
    mutating func granted(_ traits: RequestTraits, _ list: CandidateList, to server: BackendID) {
        switch list.rule {
        case .sticky, .leastInFlight, .expectedCost: return
        case .roundRobin:
            if lastServer.count >= Router.rememberedModels { lastServer.removeAll() }
            lastServer[list.model ?? ""] = server
        case .cacheAware:
            guard let prompt = traits.prompt else { return }
            // The deepest first: then a link is never older than those behind it, and the oldest has none behind it.
            for link in prompt.links.reversed() {
                links[server, default: RecentHashes(limit: rememberedLinks)].touch(link.hash)
            }
        case .prefixHash:
            if let key = traits.prompt.flatMap({ conversationKey(of: $0) }) { conversations.touch(key) }
        }
    }

    /// Forgets servers that are gone.
    mutating func keepOnly(_ isPresent: (BackendID) -> Bool) { links = links.filter { isPresent($0.key) } }

    /// How many bytes of the prompt the server got before, as far as the links show it.
    func matchedBytes(of prompt: PromptChain, on server: BackendID) -> Int {
        guard let known = links[server] else { return 0 }
        var (low, high) = (0, prompt.links.count)
        while low < high {
            let middle = (low + high) / 2
            if known.contains(prompt.links[middle].hash) { low = middle + 1 } else { high = middle }
        }
        return low > 0 ? Int(prompt.links[low - 1].end) : 0
    }

    /// The link that stands for the prompt's conversation; nil when the prompt has no links.
    ///
    /// KubeAI takes the beginning of the first user message. Which message that is, a chain does not tell; but when a conversation
    /// begins, it is the last one. So its first link is remembered then, and later prompts contain it.
    func conversationKey(of prompt: PromptChain) -> UInt64? {
        if let known = prompt.links.first(where: { conversations.contains($0.hash) }) { return known.hash }
        return (prompt.links.first { Int($0.end) > prompt.lastMessageStart } ?? prompt.links.last)?.hash
    }
}

extension Router {
    /// A request was granted a server.
    mutating func rememberForComparison(_ traits: RequestTraits, _ list: CandidateList, _ server: BackendID) {
        guard list.rule != .sticky, traits.counts else { return }
        if list.rule == .cacheAware, comparison.links[server] == nil {
            let present = indexOfBackend
            comparison.keepOnly { present[$0] != nil }
        }
        comparison.granted(traits, list, to: server)
    }

    /// The candidate with its instance that computes the fewest requests.
    func choice(_ position: Int, among list: CandidateList, _ reason: Choice.Reason) -> Choice {
        let candidate = list.candidates[position]
        let inFlight = candidate.instances.map { backends[candidate.index].inFlight(on: $0) }
        let instance = inFlight.indices.min { inFlight[$0] < inFlight[$1] }
        return Choice(position: position, instance: instance, reason: reason)
    }

    /// The group's positions whose servers are up, with the number of requests in flight there, and whether they may take this one.
    ///
    /// Full servers are among them: rules compare loads of all servers that work.
    func loads(
        of group: Range<Int>, in list: CandidateList, for request: PendingRequest, at now: Moment
    ) -> [(position: Int, inFlight: Int, isEligible: Bool)] {
        group.compactMap { position in
            let index = list.candidates[position].index
            switch ineligibility(at: position, in: list, for: request, at: now) {
            case nil: return (position, backends[index].inFlight, true)
            case .full: return (position, backends[index].inFlight, false)
            case .failedThisRequest, .down, .draining, .failing: return nil
            }
        }
    }
}

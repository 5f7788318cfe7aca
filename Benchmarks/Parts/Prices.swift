import Routing

func measureShortChat() { report("short chat, 1 server: decision, beginning and end", shortChatTime(), "ns") }

/// Nanoseconds of a priced decision, of the beginning of its answer and of its end, together.
func measurePrices() {
    for count in [1, 8, 32, 512] {
        let time = agentTime(servers: count)
        report("agents, \(count) servers with ten conversations each: decision, beginning and end", time, "ns")
    }
}

/// A client whose prompts are too short to be remembered.
private func shortChatTime() -> Double {
    var world = World(servers: 1, slots: 4, rule: .expectedCost)
    let prompts = (0..<64).map { number in
        PromptChain(length: 1000 + number)
    }
    var next = 0
    for _ in 0..<2_000 { world.finish(world.arrive(client: "10.0.0.1", model: "bench-model", prompt: prompts[0]), prompts[0]) }
    return nanoseconds(calls: 20_000) {
        let prompt = prompts[next]
        next = (next + 1) % prompts.count
        world.finish(world.arrive(client: "10.0.0.1", model: "bench-model", prompt: prompt), prompt)
    }
}

/// Agents that share a system prompt of 24 KB and have conversations of 100 KB; ten of them for each server, which has four slots. Each
/// asks once a minute.
private func agentTime(servers count: Int) -> Double {
    // With the usual time to live: times that make no difference are a part of it.
    var world = World(servers: count, slots: 4, rule: .expectedCost, stickyTTL: .seconds(180))
    let agents = 10 * count
    let prompts = (0..<agents).map { agent in [conversation(of: agent, blocks: 100), conversation(of: agent, blocks: 102)] }
    var (agent, turn) = (0, 0)
    func ask() {
        let prompt = prompts[agent][turn]
        let ticket = world.arrive(client: "agent-\(agent)", model: "bench-model", prompt: prompt)
        world.finish(ticket, prompt, seconds: 60 / Double(agents))
        agent += 1
        if agent == agents { (agent, turn) = (0, 1 - turn) }
    }
    for _ in 0..<(3 * agents) { ask() }
    return nanoseconds(calls: 2_000) { ask() }
}

private func conversation(of agent: Int, blocks: Int) -> PromptChain {
    let links = (0..<blocks).map { block in
        let owner = block < 24 ? 0 : UInt64(agent) + 1
        return PromptChain.Link(hash: (owner << 32 | UInt64(block)) &* 0x9E37_79B9_7F4A_7C15 &+ 1, end: UInt32(block + 1) * 1024)
    }
    return PromptChain(links: links, length: blocks * 1024, lastMessageStart: (blocks - 2) * 1024)
}

import Testing

@testable import Proxy

@Suite("Sharing out descriptors")
struct DescriptorBudgetTests {
    @Test("where there are enough, everybody gets what is configured, and nothing is said")
    func plenty() {
        let budget = DescriptorBudget(limit: 1 << 20, clients: 8192, loops: 4, servers: 8)
        #expect(budget.clients == 8192)
        #expect(budget.idleUpstream > 100_000 && budget.detached > 100_000)
        #expect(budget.warning == nil)
    }

    @Test("what is needed is enough, and one less is not")
    func needed() {
        let needed = DescriptorBudget(limit: 0, clients: 1000, loops: 2, servers: 3).needed
        let enough = DescriptorBudget(limit: needed, clients: 1000, loops: 2, servers: 3)
        #expect(enough.clients == 1000 && enough.warning == nil)
        let short = DescriptorBudget(limit: needed - 10, clients: 1000, loops: 2, servers: 3)
        #expect(short.clients == 995)
        #expect(short.warning?.contains("limits.connections: 1000 clients need \(needed) open files") == true)
        #expect(short.warning?.contains("only 995 clients") == true && short.warning?.contains("LimitNOFILE=\(needed)") == true)
    }

    @Test("with few descriptors, some are still kept for connections that can be used again")
    func few() {
        let budget = DescriptorBudget(limit: 64, clients: 8192, loops: 2, servers: 1)
        #expect(budget.clients == 12)
        #expect(budget.idleUpstream == 3 && budget.detached == 3)
    }

    @Test(
        "all together never take more than there are, with something left for our own work",
        arguments: [48, 64, 100, 256, 1000, 1024, 4096, 65536, Int.max], [1, 2, 4, 16])
    func neverMore(limit: Int, loops: Int) {
        for servers in [1, 2, 8, 50] {
            for clients in [1, 8, 100, 8192, 1_000_000] {
                let budget = DescriptorBudget(limit: limit, clients: clients, loops: loops, servers: servers)
                #expect(budget.clients >= 1 && budget.clients <= clients)
                guard budget.clients > 1 else { continue }
                let shared = 2 * budget.clients + budget.idleUpstream + budget.detached
                #expect(shared + 24 + 3 * loops + 3 * servers <= limit, "\(budget)")
            }
        }
    }
}

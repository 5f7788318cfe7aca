import Testing

@Suite("Random lives of clients and servers, without sockets")
struct RandomProxyLifeTests {
    @Test(
        "whatever happens in whichever order: every request ends once, nobody gets another's bytes or waits for ever",
        arguments: 0..<20)
    func lives(group: UInt64) throws {
        for seed in (group * 15)..<(group * 15 + 15) {
            let life = RandomProxyLife(seed: seed)
            defer { life.shutDown() }
            try life.live(steps: 400)
            try life.settle()
            life.end()
            if let failure = life.failure {
                Issue.record("seed \(seed): \(failure)")
                return
            }
        }
    }
}

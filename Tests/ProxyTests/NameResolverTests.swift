import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing

@testable import Proxy

@Suite("Looking up host names", .timeLimit(.minutes(2)))
struct NameResolverTests {
    private let loop = MultiThreadedEventLoopGroup.singleton.next()

    @Test("a name that is never answered keeps no other waiting")
    func hangs() async throws {
        let names = TestNames()
        names.hang("dead.test")
        names.set("good.test", ["127.0.0.1"])
        let resolver = names.resolver
        var dead: [NameResolver.Question] = []
        for _ in 0..<100 { dead.append(resolver.ask("dead.test", on: loop)) }
        let addresses = try await resolver.ask("good.test", on: loop).addresses.get()
        #expect(addresses.map(\.ipAddress) == ["127.0.0.1"])
        for question in dead { question.withdraw() }
        for question in dead { await #expect(throws: LookUpFailure.self) { try await question.addresses.get() } }
        #expect(names.askedFor("dead.test") == 1, "one look-up for all questions")
        names.release()
    }

    @Test("a good answer is kept when the name server dies")
    func kept() async throws {
        let names = TestNames()
        names.set("a.test", ["127.0.0.1"])
        let resolver = names.resolver
        _ = try await resolver.ask("a.test", on: loop).addresses.get()
        names.hang("a.test")
        resolver.connectFailed("a.test")
        #expect(try await resolver.ask("a.test", on: loop).addresses.get().map(\.ipAddress) == ["127.0.0.1"])
        names.release()
    }

    @Test("the system's own look-up knows this machine, and says in words what it does not find")
    func system() throws {
        let found = try SystemLookUp.addresses(of: "localhost")
        #expect(found.contains { $0.ipAddress == "127.0.0.1" || $0.ipAddress == "::1" })
        #expect(throws: LookUpFailure.self) { try SystemLookUp.addresses(of: "a..b") }
    }
}

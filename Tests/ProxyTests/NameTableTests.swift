import NIOCore
import Routing
import Testing

@testable import Proxy

@Suite("What is known about host names")
struct NameTableTests {
    private func address(_ number: Int) throws -> SocketAddress { try SocketAddress(ipAddress: "127.0.0.\(number)", port: 0) }

    private func moment(_ seconds: Double) -> Moment { Moment(nanoseconds: Int64(seconds * 1e9)) }

    /// What a question gets, in a form that can be compared.
    private func text(_ reply: NameTable<String>.Reply) -> String {
        switch reply {
        case .known(let addresses): addresses.compactMap(\.ipAddress).joined(separator: " ")
        case .failed(let reason): reason
        case .later(_, let waiter): "\(waiter) waits"
        }
    }

    @Test("many questions for one name are one look-up, and all get its answer")
    func oneLookUp() throws {
        var table = NameTable<String>(limit: 4)
        #expect(text(table.ask("a", at: .zero, waiter: "first")) == "first waits")
        #expect(table.starts() == ["a"])
        #expect(text(table.ask("a", at: moment(100), waiter: "second")) == "second waits")
        #expect(table.starts() == [])
        #expect(Set(table.ended("a", .success([try address(1)]), at: moment(100))) == ["first", "second"])
        #expect(text(table.ask("a", at: moment(101), waiter: "third")) == "127.0.0.1")
    }

    @Test("an old answer is given at once while it is looked up again, and stays when that fails")
    func refreshed() throws {
        var table = NameTable<String>(limit: 4)
        _ = table.ask("a", at: .zero, waiter: "w")
        _ = table.starts()
        _ = table.ended("a", .success([try address(1)]), at: .zero)
        _ = table.ask("a", at: moment(29), waiter: "w")
        #expect(table.starts() == [], "it is fresh")
        #expect(text(table.ask("a", at: moment(30), waiter: "w")) == "127.0.0.1")
        #expect(table.starts() == ["a"])
        #expect(table.ended("a", .failure(LookUpFailure("no such host")), at: moment(40)) == [])
        #expect(text(table.ask("a", at: moment(41), waiter: "w")) == "127.0.0.1")
        #expect(table.starts() == ["a"], "after a failure it is asked again soon")
        _ = table.ended("a", .success([try address(2)]), at: moment(42))
        #expect(text(table.ask("a", at: moment(43), waiter: "w")) == "127.0.0.2")
    }

    @Test("a connection that cannot be made has the name looked up again, but not more than once a second")
    func suspect() throws {
        var table = NameTable<String>(limit: 4)
        _ = table.ask("a", at: .zero, waiter: "w")
        _ = table.starts()
        _ = table.ended("a", .success([try address(1)]), at: .zero)
        table.connectFailed("a", at: moment(0.5))
        #expect(table.starts() == [])
        table.connectFailed("a", at: moment(1))
        #expect(table.starts() == ["a"])
        table.connectFailed("a", at: moment(1.5))
        #expect(table.starts() == [], "it is running")
        _ = table.ended("a", .success([try address(2)]), at: moment(1.6))
        table.connectFailed("unknown", at: moment(9))
        #expect(table.starts() == [])
    }

    @Test("a name that cannot be resolved is not asked for again and again")
    func failure() {
        var table = NameTable<String>(limit: 4)
        _ = table.ask("a", at: .zero, waiter: "w")
        _ = table.starts()
        #expect(table.ended("a", .failure(LookUpFailure("no such host")), at: moment(1)) == ["w"])
        #expect(text(table.ask("a", at: moment(1.9), waiter: "w")) == "no such host")
        #expect(table.starts() == [])
        #expect(text(table.ask("a", at: moment(2), waiter: "again")) == "again waits")
        #expect(table.starts() == ["a"])
        _ = table.ended("a", .success([]), at: moment(3))
        #expect(text(table.ask("a", at: moment(3), waiter: "w")) == "it has no address")
    }

    @Test("no more look-ups run than the limit allows; the others wait for their turn, each name once")
    func bounded() throws {
        var table = NameTable<String>(limit: 2)
        for name in ["a", "b", "c", "d", "c"] { _ = table.ask(name, at: .zero, waiter: name) }
        #expect(table.starts() == ["a", "b"])
        #expect(table.starts() == [])
        #expect(table.ended("b", .success([try address(1)]), at: moment(1)) == ["b"])
        #expect(table.starts() == ["c"])
        #expect(table.ended("c", .success([try address(2)]), at: moment(2)).count == 2)
        #expect(table.starts() == ["d"])
    }

    @Test("who has given up is not kept")
    func leaving() throws {
        var table = NameTable<String>(limit: 2)
        guard case .later(let number, _) = table.ask("a", at: .zero, waiter: "w") else {
            Issue.record("it was answered at once")
            return
        }
        _ = table.starts()
        #expect(table.leave("a", number) == "w")
        #expect(table.leave("a", number) == nil)
        #expect(table.ended("a", .success([try address(1)]), at: .zero) == [])
    }

    @Test("names that nobody asks for any more are forgotten")
    func forgotten() throws {
        var table = NameTable<String>(limit: 1000)
        for number in 0..<1000 {
            let now = moment(Double(number) * 10)
            _ = table.ask("name\(number)", at: now, waiter: "w")
            _ = table.starts()
            _ = table.ended("name\(number)", .success([try address(1)]), at: now)
        }
        #expect(table.count <= 61)
    }
}

import Testing

@testable import Routing

@Suite("A table of backends")
struct BackendTableTests {
    @Test("finds what was put in, and nothing else", arguments: 0..<20)
    func finds(count: Int) {
        let numbers = (0..<count).map { ($0 * 7919) % 101 - 20 }
        let table = BackendTable(numbers.map { (BackendID(rawValue: $0), "\($0)") })
        for number in -30...110 {
            #expect(table[BackendID(rawValue: number)] == (numbers.contains(number) ? "\(number)" : nil))
        }
        #expect(table.values.count == count)
    }

    @Test("keeps the first of several values")
    func repeated() {
        let id = BackendID(rawValue: 1)
        #expect(BackendTable([(id, "a"), (BackendID(rawValue: 0), "x"), (id, "b")])[id] == "a")
    }

    @Test("has the last value that was set, and none after nil")
    func set() {
        var table = BackendTable<Int>()
        for number in [5, 1, 3, 1] { table.set(10 * number + table.values.count, for: BackendID(rawValue: number)) }
        #expect(table.values == [13, 32, 50])
        table.set(nil, for: BackendID(rawValue: 3))
        table.set(nil, for: BackendID(rawValue: 4))
        #expect(table.values == [13, 50] && table[BackendID(rawValue: 3)] == nil)
    }
}

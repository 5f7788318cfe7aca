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
}

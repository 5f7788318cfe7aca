import Testing
import Wire

@testable import Control

@Suite("What keys have used")
struct UsageLedgerTests {
    private func amount(_ output: Int) -> UsageLedger.Amount {
        .init(requests: 1, promptTokens: 10, cachedTokens: 100, outputTokens: output)
    }

    @Test("is summed up by day, key and model, and by one of them")
    func sums() {
        var ledger = UsageLedger()
        ledger.add(amount(1), day: 1, key: "a", model: "m")
        ledger.add(amount(2), day: 1, key: "a", model: "m")
        ledger.add(amount(4), day: 1, key: "b", model: "n")
        ledger.add(amount(8), day: 2, key: "a", model: "n")
        #expect(ledger.rows(by: nil).map(\.amount.outputTokens) == [3, 4, 8])
        #expect(ledger.rows(by: .key).map(\.amount.outputTokens) == [11, 4])
        #expect(ledger.rows(by: .model).map(\.amount.outputTokens) == [3, 12])
        #expect(ledger.rows(by: .day).map(\.amount.outputTokens) == [7, 8])
        #expect(ledger.rows(by: .key).first?.amount.requests == 3)
    }

    @Test("changes are told once, with the whole sum")
    func changes() {
        var ledger = UsageLedger()
        ledger.add(amount(1), day: 1, key: "a", model: "m")
        #expect(ledger.takeChanges().map(\.amount.outputTokens) == [1])
        #expect(ledger.takeChanges().isEmpty)
        ledger.add(amount(2), day: 1, key: "a", model: "m")
        #expect(ledger.takeChanges().map(\.amount.outputTokens) == [3])
    }

    @Test("is written and read in one form")
    func form() throws {
        let place = UsageLedger.Place(day: 20_785, key: "anna", model: "qwen \"3\"")
        let line = place.json(amount(7)).text
        #expect(line.contains(#""day":"2026-11-28""#))
        let read = try #require(try UsageLedger.Place.read(JSON(parsing: Array(line.utf8))) { $0 == "2026-11-28" ? 20_785 : nil })
        #expect(read.place == place && read.amount == amount(7))
        for wrong in ["{}", #"{"day":"x","key":"k","model":"m"}"#, #"{"day":"2026-11-28","key":1,"model":"m"}"#] {
            #expect(try UsageLedger.Place.read(JSON(parsing: Array(wrong.utf8))) { $0 == "2026-11-28" ? 1 : nil } == nil)
        }
    }

    @Test("has a bounded number of models in a day, and of rows")
    func bounded() {
        var ledger = UsageLedger()
        for number in 0..<(UsageLedger.mostModels + 50) { ledger.add(amount(1), day: 5, key: "k", model: "m\(number)") }
        ledger.add(amount(1), day: 5, key: "k", model: "m0")
        #expect(ledger.rows(by: .model).count == UsageLedger.mostModels + 1)
        // A request that began the day before changes nothing about it.
        ledger.add(amount(1), day: 4, key: "k", model: "late")
        ledger.add(amount(1), day: 5, key: "k", model: "m-new")
        #expect(!ledger.rows(by: nil).contains { $0.place.model == "m-new" })
        #expect(ledger.rows(by: .model).first { $0.place.model == "other" }?.amount.requests == 51)
        ledger.add(amount(1), day: 5, key: "another", model: "new")
        #expect(ledger.rows(by: nil).contains { $0.place.model == "new" }, "each key has its own")
        for number in 0..<UsageLedger.mostPlaces {
            ledger.restore(amount(1), at: .init(day: 6 + number % 2, key: "\(number)", model: "m"))
        }
        #expect(ledger.amounts.count <= UsageLedger.mostPlaces)
        #expect(!ledger.rows(by: .day).contains { $0.place.day == 5 }, "the oldest day makes room")
    }

    @Test("absurd numbers of engines neither overflow nor count backwards")
    func absurd() {
        var ledger = UsageLedger()
        for tokens in [Int.max, Int.max, -5] { ledger.add(amount(tokens), day: 1, key: "k", model: "m") }
        #expect(ledger.rows(by: .key).first?.amount.outputTokens == .max)
    }
}

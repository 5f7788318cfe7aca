import Routing
import Testing

@testable import Proxy

@Suite("Tickets name their holders")
struct TicketTableTests {
    private final class Holder {}

    @Test("until they are removed, as a dictionary would, whatever the order")
    func randomUse() {
        var random = SplitMix64(seed: 11)
        var table = TicketTable<Holder>(owner: 3)
        var known: [(ticket: Ticket, holder: Holder)] = []
        var removed: [Ticket] = []
        for _ in 0..<20_000 {
            if known.isEmpty || known.count < 40 && random.next() % 2 == 0 {
                let holder = Holder()
                known.append((table.insert(holder), holder))
            } else {
                let gone = known.remove(at: Int(random.next() % UInt64(known.count))).ticket
                table.remove(gone)
                removed.append(gone)
            }
            if let some = known.randomElement(using: &random) { #expect(table[some.ticket] === some.holder) }
            if let late = removed.randomElement(using: &random) {
                #expect(table[late] == nil)
                table.remove(late)
            }
        }
        #expect(Set(known.map(\.ticket) + removed).count == known.count + removed.count, "a ticket was given twice")
        for (ticket, holder) in known { #expect(table[ticket] === holder) }
        for ticket in removed { #expect(table[ticket] == nil) }
        #expect(known.allSatisfy { $0.ticket.owner == 3 })
    }

    @Test("and a late one does not meet whoever has its place now")
    func lateTicket() {
        var table = TicketTable<Holder>(owner: 0)
        let old = table.insert(Holder())
        table.remove(old)
        let holder = Holder()
        let new = table.insert(holder)
        #expect(table[old] == nil && table[new] === holder && old != new)
        table.remove(old)
        #expect(table[new] === holder)
    }

    @Test("and one that was never given names nobody")
    func unknown() {
        let table = TicketTable<Holder>(owner: 0)
        #expect(table[Ticket(rawValue: 0)] == nil)
        #expect(table[Ticket(rawValue: .max)] == nil)
    }
}

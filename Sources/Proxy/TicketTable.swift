import Routing

/// Maps tickets to the holders of their requests. A ticket contains the holder's index in the table, so no search is needed.
struct TicketTable<Holder: AnyObject> {
    private struct Place {
        var ticket: Ticket
        var holder: Holder?
    }

    let owner: Int
    private var places: [Place] = []
    private var free: [Int] = []
    private var count: UInt64 = 0

    /// A ticket has 48 bits for its owner's use. The low bits are the index, the other bits a counter, so a late ticket never
    /// matches a newer request at the same index.
    private static var placeBits: UInt64 { 24 }

    init(owner: Int) { self.owner = owner }

    mutating func insert(_ holder: Holder) -> Ticket {
        count &+= 1
        let place = free.popLast() ?? places.count
        let ticket = Ticket(owner: owner, sequence: count &<< Self.placeBits | UInt64(place))
        if place == places.count {
            places.append(Place(ticket: ticket, holder: holder))
        } else {
            places[place] = Place(ticket: ticket, holder: holder)
        }
        return ticket
    }

    /// Nil when the ticket has been removed.
    subscript(ticket: Ticket) -> Holder? {
        let place = Self.place(ticket)
        guard place < places.count, places[place].ticket == ticket else { return nil }
        return places[place].holder
    }

    mutating func remove(_ ticket: Ticket) {
        let place = Self.place(ticket)
        guard place < places.count, places[place].ticket == ticket, places[place].holder != nil else { return }
        places[place].holder = nil
        free.append(place)
    }

    private static func place(_ ticket: Ticket) -> Int { Int(ticket.rawValue & (1 &<< placeBits - 1)) }
}

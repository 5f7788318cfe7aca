/// What will happen, the earliest first; of two events at the same time, the one that was added first.
struct EventQueue<Event: Sendable>: Sendable {
    private struct Entry: Sendable {
        let time: Double
        let number: UInt64
        let event: Event

        func isBefore(_ other: Entry) -> Bool { time != other.time ? time < other.time : number < other.number }
    }

    /// A binary heap: no entry is before the one at half its index.
    private var entries: [Entry] = []
    private var added: UInt64 = 0

    var isEmpty: Bool { entries.isEmpty }

    mutating func add(_ event: Event, at time: Double) {
        added += 1
        entries.append(Entry(time: time, number: added, event: event))
        var child = entries.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard entries[child].isBefore(entries[parent]) else { return }
            entries.swapAt(child, parent)
            child = parent
        }
    }

    /// Takes the earliest event out; nil when there is none.
    mutating func next() -> (time: Double, event: Event)? {
        guard let first = entries.first, let last = entries.popLast() else { return nil }
        guard !entries.isEmpty else { return (first.time, first.event) }
        entries[0] = last
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < entries.count else { break }
            if child + 1 < entries.count, entries[child + 1].isBefore(entries[child]) { child += 1 }
            guard entries[child].isBefore(entries[parent]) else { break }
            entries.swapAt(child, parent)
            parent = child
        }
        return (first.time, first.event)
    }
}

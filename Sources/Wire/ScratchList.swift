/// A list whose memory serves one request after another. Emptying it costs nothing, unlike emptying an array, which destroys and
/// replaces what is in it.
struct ScratchList<Element: BitwiseCopyable & Sendable>: Sendable {
    /// The first `count` elements count. Those behind them are left over.
    private var storage: [Element] = []
    /// The number of elements.
    private(set) var count = 0

    /// Elements for which there is memory.
    var capacity: Int { storage.capacity }
    var isEmpty: Bool { count == 0 }
    var last: Element? { count > 0 ? storage[count - 1] : nil }
    /// All elements, in order.
    var elements: ArraySlice<Element> { storage[..<count] }

    subscript(index: Int) -> Element { storage[index] }

    mutating func append(_ element: Element) {
        if count < storage.count { storage[count] = element } else { storage.append(element) }
        count += 1
    }

    mutating func removeLast() { count = max(0, count - 1) }

    /// Keeps the elements for which `isKept` is true.
    mutating func keep(where isKept: (Element) -> Bool) {
        var kept = 0
        for index in 0..<count where isKept(storage[index]) {
            storage[kept] = storage[index]
            kept += 1
        }
        count = kept
    }

    /// Empties the list. Memory for more elements than `most` is given back.
    mutating func removeAll(keeping most: Int = .max) {
        count = 0
        if storage.count > most { storage = [] }
    }
}

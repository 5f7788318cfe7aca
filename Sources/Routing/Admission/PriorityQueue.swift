/// A binary heap: the least element is first.
///
/// An element that is no longer wanted stays in the queue. Its owner removes it when it reaches the front, and compacts the
/// queue when more than half of the elements are unwanted. Adding and removing therefore cost the logarithm of the length.
struct PriorityQueue<Element: Comparable & Sendable>: Sendable {
    private(set) var elements: [Element] = []

    var first: Element? { elements.first }
    var count: Int { elements.count }

    mutating func push(_ element: Element) {
        elements.append(element)
        var child = elements.count - 1
        while child > 0, elements[child] < elements[(child - 1) / 2] {
            elements.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func popFirst() -> Element? {
        guard let first = elements.first else { return nil }
        let last = elements.removeLast()
        if !elements.isEmpty {
            elements[0] = last
            siftDown(0)
        }
        return first
    }

    /// Removes unwanted elements from the front. When most elements are unwanted, removes all of them.
    ///
    /// - Parameter wanted: how many elements are wanted.
    mutating func clean(wanted: Int, isWanted: (Element) -> Bool) {
        if elements.count > 2 * wanted + 16 {
            elements.removeAll { !isWanted($0) }
            for parent in stride(from: elements.count / 2 - 1, through: 0, by: -1) { siftDown(parent) }
        }
        while let first = elements.first, !isWanted(first) { _ = popFirst() }
    }

    private mutating func siftDown(_ start: Int) {
        var parent = start
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < elements.count && elements[child] < elements[least] {
                least = child
            }
            guard least != parent else { return }
            elements.swapAt(parent, least)
            parent = least
        }
    }
}

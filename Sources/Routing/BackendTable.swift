/// A value for each of some backends. It is looked at several times for every request, where binary search in a few numbers costs a
/// tenth of a dictionary's hashing.
package struct BackendTable<Value> {
    /// In ascending order.
    private var ids: [Int] = []
    /// In the order of `ids`.
    package private(set) var values: [Value] = []

    package init() {}

    /// Of several values for a backend, the first one counts.
    package init(_ pairs: [(BackendID, Value)]) {
        let sorted = pairs.enumerated().sorted { ($0.element.0.rawValue, $0.offset) < ($1.element.0.rawValue, $1.offset) }
        for (id, value) in sorted.map(\.element) where ids.last != id.rawValue {
            ids.append(id.rawValue)
            values.append(value)
        }
    }

    package subscript(id: BackendID) -> Value? {
        var (low, high) = (0, ids.count)
        while low < high {
            let middle = (low + high) / 2
            if ids[middle] < id.rawValue { low = middle + 1 } else { high = middle }
        }
        return low < ids.count && ids[low] == id.rawValue ? values[low] : nil
    }
}

extension BackendTable: Sendable where Value: Sendable {}

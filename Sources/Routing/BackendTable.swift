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
        let place = place(of: id)
        return place < ids.count && ids[place] == id.rawValue ? values[place] : nil
    }

    /// Nil: no value any more.
    mutating func set(_ value: Value?, for id: BackendID) {
        let place = place(of: id)
        switch (place < ids.count && ids[place] == id.rawValue, value) {
        case (true, let value?): values[place] = value
        case (true, nil):
            ids.remove(at: place)
            values.remove(at: place)
        case (false, let value?):
            ids.insert(id.rawValue, at: place)
            values.insert(value, at: place)
        case (false, nil): break
        }
    }

    private func place(of id: BackendID) -> Int {
        var (low, high) = (0, ids.count)
        while low < high {
            let middle = (low + high) / 2
            if ids[middle] < id.rawValue { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension BackendTable: Sendable where Value: Sendable {}

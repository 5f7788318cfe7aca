/// Names of header fields that are not copied into a head: known ones as bits, any others by their text.
package struct FieldFilter: Sendable {
    package private(set) var known: FieldSet
    /// In lower case.
    private(set) var others: [[UInt8]] = []

    package init(_ known: FieldSet = FieldSet()) { self.known = known }

    /// Adds a field by its name, in any case.
    package mutating func insert(_ name: String) {
        let bytes = name.utf8.map(FieldName.lowercase)
        let field = bytes.withBytes(FieldName.lookUp)
        if field == .other { others.append(bytes) } else { known.insert(field) }
    }

    /// The same filter, which also leaves out those fields.
    package func union(_ names: FieldSet) -> FieldFilter {
        var both = self
        both.known = known.union(names)
        return both
    }

    /// Whether a field of a received head is left out.
    @inline(__always)
    func contains(_ field: HTTPHead.Field, in source: Bytes) -> Bool {
        if known.contains(field.known) { return true }
        guard field.known == .other else { return false }
        return others.contains { other in
            guard other.count == field.name.count else { return false }
            for index in 0..<other.count where FieldName.lowercase(source[field.name.lowerBound + index]) != other[index] {
                return false
            }
            return true
        }
    }
}

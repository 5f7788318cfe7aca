/// Writing a head to send from the received one: runs of field lines are copied as they are, and our own fields are added.
extension ByteWriter {
    /// Writes `name: value` and the end of the line. The caller guarantees that neither has a CR, LF or NUL.
    package mutating func writeField(_ name: StaticString, _ value: String) {
        write(name)
        write(": ")
        write(value)
        write("\r\n")
    }

    /// Writes the empty line.
    package mutating func endHead() { write("\r\n") }

    /// Copies the field lines, except for `excluded` fields, hop-by-hop fields and fields that `Connection` names.
    package mutating func copyFields(of head: borrowing HTTPHead, from source: RawSpan, except excluded: FieldSet) {
        copyFields(of: head, from: source, except: FieldFilter(excluded))
    }

    /// The same, but `excluded` may contain fields of any name.
    package mutating func copyFields(of head: borrowing HTTPHead, from source: RawSpan, except excluded: FieldFilter) {
        source.withBytes { bytes in copyFields(of: head, from: bytes, except: excluded.union(.hopByHop)) }
    }

    private mutating func copyFields(
        of head: borrowing HTTPHead, from source: Bytes, except excluded: FieldFilter
    ) {
        var runStart = head.fieldsStart
        if head.namesConnectionFields || !excluded.others.isEmpty || !head.present.isDisjoint(with: excluded.known) {
            for field in head.fields {
                let named =
                    head.namesConnectionFields && field.known != .host && field.known != .contentLength
                    && head.connectionNames(source.extracting(field.name), in: source)
                if named || excluded.contains(field, in: source) {
                    write(source.extracting(runStart..<field.name.lowerBound))
                    runStart = field.lineEnd
                }
            }
        }
        write(source.extracting(runStart..<head.fieldsEnd))
    }
}

/// Building a head to send out of the received one: lines that pass are copied as they came, in runs; ours are added.
extension ByteWriter {
    /// `name: value` and the line's end. The caller vouches that neither holds a CR, LF or NUL.
    package mutating func writeField(_ name: StaticString, _ value: String) {
        write(name)
        write(": ")
        write(value)
        write("\r\n")
    }

    package mutating func endHead() { write("\r\n") }

    /// Copies the field lines except those, hop-by-hop ones and those that `Connection` names.
    package mutating func copyFields(of head: borrowing HTTPHead, from source: RawSpan, except excluded: FieldSet) {
        source.withBytes { bytes in copyFields(of: head, from: bytes, except: excluded.union(.hopByHop)) }
    }

    private mutating func copyFields(
        of head: borrowing HTTPHead, from source: Bytes, except excluded: FieldSet
    ) {
        var runStart = head.fieldsStart
        if head.namesConnectionFields || !head.present.isDisjoint(with: excluded) {
            for field in head.fields {
                let named =
                    head.namesConnectionFields && field.known != .host && field.known != .contentLength
                    && head.connectionNames(source.extracting(field.name), in: source)
                if named || excluded.contains(field.known) {
                    write(source.extracting(runStart..<field.name.lowerBound))
                    runStart = field.lineEnd
                }
            }
        }
        write(source.extracting(runStart..<head.fieldsEnd))
    }
}

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
        copyFields(of: head, from: source, except: FieldFilter(excluded))
    }

    /// The same, with fields of any name left out.
    package mutating func copyFields(of head: borrowing HTTPHead, from source: RawSpan, except excluded: FieldFilter) {
        source.withUnsafeBytes { bytes in copyFields(of: head, from: bytes, except: excluded.union(.hopByHop)) }
    }

    private mutating func copyFields(
        of head: borrowing HTTPHead, from source: UnsafeRawBufferPointer, except excluded: FieldFilter
    ) {
        var runStart = head.fieldsStart
        if head.namesConnectionFields || !excluded.others.isEmpty || !head.present.isDisjoint(with: excluded.known) {
            for field in head.fields {
                let named =
                    head.namesConnectionFields && field.known != .host && field.known != .contentLength
                    && head.connectionNames(UnsafeRawBufferPointer(rebasing: source[field.name]), in: source)
                if named || excluded.contains(field, in: source) {
                    write(UnsafeRawBufferPointer(rebasing: source[runStart..<field.name.lowerBound]))
                    runStart = field.lineEnd
                }
            }
        }
        write(UnsafeRawBufferPointer(rebasing: source[runStart..<head.fieldsEnd]))
    }
}

extension [UInt8] {
    /// Appends a part of some memory as one copy; as a sequence of bytes, raw memory would be copied one by one.
    mutating func append(_ memory: UnsafeRawBufferPointer, _ range: Range<Int>) {
        UnsafeRawBufferPointer(rebasing: memory[range]).withMemoryRebound(to: UInt8.self) { append(contentsOf: $0) }
    }
}

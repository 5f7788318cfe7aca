/// Builds a head to send out of the received one: lines that pass are copied as they came, in runs; ours are added.
///
/// Meant to be kept and reused: the buffer keeps its capacity.
package struct HeadWriter: Sendable {
    package private(set) var bytes: [UInt8] = []

    package init() {}

    package mutating func reset() { bytes.removeAll(keepingCapacity: true) }

    package mutating func write(_ literal: StaticString) {
        bytes.append(contentsOf: UnsafeBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount))
    }

    package mutating func write(_ text: String) {
        var text = text
        text.withUTF8 { bytes.append(contentsOf: $0) }
    }

    package mutating func write(_ raw: [UInt8]) { bytes.append(contentsOf: raw) }

    /// A decimal number.
    package mutating func write(_ number: Int) {
        if number >= 0, number < 10 {
            bytes.append(UInt8(ascii: "0") + UInt8(number))
        } else {
            bytes.append(contentsOf: String(number).utf8)
        }
    }

    /// Bytes of a received head.
    package mutating func write(_ source: RawSpan, _ range: Range<Int>) {
        source.withUnsafeBytes { bytes.append($0, range) }
    }

    /// `name: value` and the line's end. The caller vouches that neither holds a CR, LF or NUL.
    package mutating func writeField(_ name: StaticString, _ value: String) {
        write(name)
        write(": ")
        write(value)
        write("\r\n")
    }

    package mutating func endHead() { write("\r\n") }

    /// Copies the field lines for which `passes` is true, and never hop-by-hop ones nor those `Connection` names.
    package mutating func copyFields(
        of head: borrowing HTTPHead, from source: RawSpan, where passes: (FieldName) -> Bool
    ) {
        source.withUnsafeBytes { bytes in copyFields(of: head, from: bytes, where: passes) }
    }

    private mutating func copyFields(
        of head: borrowing HTTPHead, from source: UnsafeRawBufferPointer, where passes: (FieldName) -> Bool
    ) {
        var runStart = head.fieldsStart
        for field in head.fields {
            let named =
                head.namesConnectionFields && field.known != .host && field.known != .contentLength
                && head.connectionNames(UnsafeRawBufferPointer(rebasing: source[field.name]), in: source)
            if field.known.isHopByHop || named || !passes(field.known) {
                bytes.append(source, runStart..<field.name.lowerBound)
                runStart = field.lineEnd
            }
        }
        bytes.append(source, runStart..<head.fieldsEnd)
    }
}

extension [UInt8] {
    /// Appends a part of some memory as one copy; as a sequence of bytes, raw memory would be copied one by one.
    mutating func append(_ memory: UnsafeRawBufferPointer, _ range: Range<Int>) {
        UnsafeRawBufferPointer(rebasing: memory[range]).withMemoryRebound(to: UInt8.self) { append(contentsOf: $0) }
    }
}

/// A field value that is a comma-separated list.
enum CommaList {
    /// Calls `body` with each element, without the white space around it. Empty elements are skipped.
    static func forEach(in value: Bytes, _ body: (Bytes) -> Void) {
        var start = 0
        while start <= value.count {
            var end = start
            while end < value.count, value[end] != UInt8(ascii: ",") { end += 1 }
            var first = start
            var last = end
            while first < last, value[first] == 0x20 || value[first] == 0x09 { first += 1 }
            while last > first, value[last - 1] == 0x20 || value[last - 1] == 0x09 { last -= 1 }
            if first < last { body(value.extracting(first..<last)) }
            start = end + 1
        }
    }
}

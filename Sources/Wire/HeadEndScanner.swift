/// Finds the empty line that ends an HTTP/1 head. The head may arrive in several reads; every byte is looked at once.
///
/// Bytes that parsers disagree about (a line feed without its carriage return, a lone carriage return, NUL)
/// are refused here, before anything is interpreted.
package struct HeadEndScanner: Sendable {
    package enum Outcome: Equatable, Sendable {
        case needMore
        /// The head and its empty line are the first `length` bytes.
        case complete(length: Int)
        case refused(HeadProblem)
    }

    /// Bytes already looked at.
    private var scanned = 0
    private var lineStart = 0

    package init() {}

    /// True while no byte of the head has been looked at.
    package var isAtStart: Bool { scanned == 0 }

    /// Looks at the bytes that have arrived since the last call. `bytes` always begins at the head's first byte, and `limit` is
    /// the most bytes that a head may have.
    package mutating func scan(_ bytes: RawSpan, limit: Int) -> Outcome {
        bytes.withBytes { scan($0, limit: limit) }
    }

    private mutating func scan(_ bytes: Bytes, limit: Int) -> Outcome {
        let end = min(bytes.count, limit)
        var index = scanned
        while index < end {
            if index &+ 8 <= end {
                let marks = EightBytes.lineEndMarks(bytes.loadEight(index))
                if marks == 0 {
                    index &+= 8
                    continue
                }
                index &+= EightBytes.first(marks)
            }
            let byte = bytes[index]
            if byte > 0x0D {
                index += 1
                continue
            }
            if byte == 0x0D {
                guard index + 1 < end else { break }
                guard bytes[index + 1] == 0x0A else { return .refused(.bareCarriageReturn) }
                if index == lineStart { return .complete(length: index + 2) }
                index += 2
                lineStart = index
                continue
            }
            if byte == 0x0A { return .refused(.bareLineFeed) }
            if byte == 0 { return .refused(.nul) }
            index += 1
        }
        scanned = index
        return bytes.count >= limit ? .refused(.headTooLarge) : .needMore
    }
}

extension RawSpan {
    package var startsWithEmptyLine: Bool {
        withBytes { $0.count >= 2 && $0[0] == 0x0D && $0[1] == 0x0A }
    }
}

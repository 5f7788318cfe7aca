/// Finds the end of a body, for every kind of HTTP/1 framing.
package struct BodyReader: Sendable {
    package enum Framing: Sendable {
        case length(remaining: Int)
        case chunked(ChunkedReader)
        /// The body ends when the connection does.
        case untilClose
    }

    package private(set) var framing: Framing
    package private(set) var isFinished: Bool

    /// The body that follows a request head. Without a length or chunked coding there is none.
    package init(request head: borrowing HTTPHead) {
        switch head.framing {
        case .unstated: framing = .length(remaining: 0)
        case .length(let count): framing = .length(remaining: count)
        case .chunked: framing = .chunked(ChunkedReader())
        }
        isFinished = false
        if case .length(remaining: 0) = framing { isFinished = true }
    }

    /// The body that follows an answer head (RFC 9112 section 6.3).
    ///
    /// - Parameter toHead: the method of the request was HEAD.
    package init(answer head: borrowing HTTPHead, toHead: Bool) {
        isFinished = toHead || head.status == 204 || head.status == 304 || head.status < 200
        switch head.framing {
        case .unstated: framing = .untilClose
        case .length(let count):
            framing = .length(remaining: count)
            isFinished = isFinished || count == 0
        case .chunked: framing = .chunked(ChunkedReader(allowsSpace: true))
        }
    }

    /// The chunks must be made anew (`ChunkedReader.hasSpace`).
    package var hasOddChunks: Bool {
        guard case .chunked(let reader) = framing else { return false }
        return reader.hasSpace
    }

    package var isUntilClose: Bool {
        guard case .untilClose = framing else { return false }
        return !isFinished
    }

    package var isChunked: Bool {
        guard case .chunked = framing else { return false }
        return true
    }

    /// True when the balancer can insert its own bytes here without breaking the body's framing.
    package var isBetweenChunks: Bool {
        switch framing {
        case .chunked(let reader): reader.isBetweenChunks
        case .length: false
        case .untilClose: true
        }
    }

    /// Continues reading at `position`, and moves `position` past the bytes that were read.
    package mutating func next(_ bytes: RawSpan, _ position: inout Int) -> ChunkedReader.Step {
        if isFinished { return .finished }
        let count: Int
        switch framing {
        case .length(let remaining):
            count = min(remaining, bytes.byteCount - position)
            framing = .length(remaining: remaining - count)
            isFinished = remaining == count
        case .untilClose: count = bytes.byteCount - position
        case .chunked(var reader):
            let step = reader.next(bytes, &position)
            framing = .chunked(reader)
            isFinished = step == .finished
            return step
        }
        guard count > 0 else { return .needMore }
        position += count
        return .content((position - count)..<position)
    }

    /// What `read` found in one span.
    package struct Progress: Sendable {
        /// Bytes that belong to this body, framing included, from `start` on.
        package var consumed = 0
        package var isMalformed = false
    }

    /// Reads `bytes` from `start` to the end of the body or of the bytes, and calls `content` with each range of content, in
    /// order.
    package mutating func read(_ bytes: RawSpan, from start: Int, content: (Range<Int>) -> Void) -> Progress {
        var position = start
        while true {
            switch next(bytes, &position) {
            case .content(let range): content(range)
            case .needMore, .finished: return Progress(consumed: position - start)
            case .malformed: return Progress(consumed: position - start, isMalformed: true)
            }
        }
    }

    /// The connection has ended. Returns true when the body is complete.
    package mutating func connectionEnded() -> Bool {
        if case .untilClose = framing { isFinished = true }
        return isFinished
    }
}

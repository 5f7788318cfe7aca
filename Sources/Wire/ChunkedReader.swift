/// Reads a body in chunked transfer coding (RFC 9112 section 7.1) strictly, piece by piece.
///
/// Copies nothing: it reports which of the received bytes are content, and where the body ends.
package struct ChunkedReader: Sendable {
    package enum Step: Equatable, Sendable {
        /// These bytes of the span are body content.
        case content(Range<Int>)
        /// All bytes have been read, and the body continues.
        case needMore
        /// The body ended right before the current position.
        case finished
        case malformed
    }

    /// What the next byte belongs to.
    private enum State: Equatable, Sendable {
        case sizeStart, size, sizeSpace, lineExtension, sizeLineFeed
        case data, dataReturn, dataLineFeed
        case trailerStart, trailerName, trailer, trailerLineFeed, endLineFeed
        case finished
    }

    /// The most bytes of chunk extensions and trailers together.
    private static let overheadLimit = 16 * 1024

    private var state = State.sizeStart
    private var remaining = 0
    private var digits = 0
    private var overhead = 0
    /// White space behind the current size.
    private var spaces = 0
    private static let spaceLimit = 64
    private let allowsSpace: Bool
    /// White space has followed a chunk's size, so these chunks must not be passed on as they are.
    package private(set) var hasSpace = false

    /// - Parameter allowsSpace: white space may follow a chunk's size, as some servers write it (RFC 9112 section 7.1.1). Some
    ///   parsers refuse it, so a request that has it is refused.
    package init(allowsSpace: Bool = false) { self.allowsSpace = allowsSpace }

    /// True between two chunks, when no byte of the next one has been read.
    package var isBetweenChunks: Bool { state == .sizeStart }
    package var isFinished: Bool { state == .finished }

    /// Continues reading at `position`, and moves `position` past the bytes that were read.
    package mutating func next(_ bytes: RawSpan, _ position: inout Int) -> Step {
        bytes.withBytes { next($0, &position) }
    }

    private mutating func next(_ bytes: Bytes, _ position: inout Int) -> Step {
        while position < bytes.count {
            if state == .finished { return .finished }
            if state == .data {
                let count = min(remaining, bytes.count - position)
                let range = position..<(position + count)
                position += count
                remaining -= count
                if remaining == 0 { state = .dataReturn }
                return .content(range)
            }
            guard control(bytes[position]) else { return .malformed }
            position += 1
        }
        return state == .finished ? .finished : .needMore
    }

    /// Consumes one byte that is not content; false when it is not allowed here.
    private mutating func control(_ byte: UInt8) -> Bool {
        switch state {
        case .sizeStart, .size:
            if let value = JSONString.hexadecimalValue(byte) {
                digits += 1
                remaining = remaining << 4 | Int(value)
                state = .size
                return digits <= 15
            }
            guard state == .size else { return false }
            return endOfSize(byte)
        case .sizeSpace: return endOfSize(byte)
        case .lineExtension:
            if byte == 0x0D { state = .sizeLineFeed } else { overhead += 1 }
            return byte == 0x0D || byte.isFieldValueCharacter && overhead <= Self.overheadLimit
        case .sizeLineFeed:
            state = remaining == 0 ? .trailerStart : .data
            digits = 0
            spaces = 0
            return byte == 0x0A
        case .dataReturn:
            state = .dataLineFeed
            return byte == 0x0D
        case .dataLineFeed:
            state = .sizeStart
            return byte == 0x0A
        case .trailerStart:
            if byte == 0x0D {
                state = .endLineFeed
                return true
            }
            state = .trailerName
            overhead += 1
            return byte.isTokenCharacter && overhead <= Self.overheadLimit
        case .trailerName:
            if byte == UInt8(ascii: ":") { state = .trailer }
            overhead += 1
            return (byte.isTokenCharacter || state == .trailer) && overhead <= Self.overheadLimit
        case .trailer:
            if byte == 0x0D { state = .trailerLineFeed } else { overhead += 1 }
            return byte == 0x0D || byte.isFieldValueCharacter && overhead <= Self.overheadLimit
        case .trailerLineFeed:
            state = .trailerStart
            return byte == 0x0A
        case .endLineFeed:
            state = .finished
            return byte == 0x0A
        case .data, .finished:
            return true
        }
    }

    private mutating func endOfSize(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x0D: state = .sizeLineFeed
        case UInt8(ascii: ";"): state = .lineExtension
        case 0x20 where allowsSpace, 0x09 where allowsSpace:
            state = .sizeSpace
            hasSpace = true
            spaces += 1
            return spaces <= Self.spaceLimit
        default: return false
        }
        return true
    }
}

import Foundation

/// Reads a file line by line, of any size, with memory for one line.
final class LineReader {
    /// Why there is no next line.
    enum Problem: Error, Equatable {
        /// The system's number for the error.
        case unreadable(CInt)
        /// The line is longer than `longestLine`.
        case tooLong
    }

    /// In bytes. The longest lines of known traces have 2 KB.
    static let longestLine = 1 << 20

    private static let pieceSize = 1 << 16

    private let descriptor: CInt
    private var piece: [UInt8] = []
    private var position = 0

    init(_ path: String) throws(Problem) {
        descriptor = Foundation.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .unreadable(errno) }
    }

    deinit { if descriptor >= 0 { Foundation.close(descriptor) } }

    /// The next line without its end; nil after the last.
    func next() throws(Problem) -> [UInt8]? {
        var line: [UInt8] = []
        while true {
            if position == piece.count, try !fill() { return line.isEmpty ? nil : line }
            let rest = piece[position...]
            let end = rest.firstIndex(of: UInt8(ascii: "\n"))
            line += rest[..<(end ?? rest.endIndex)]
            guard line.count <= Self.longestLine else { throw .tooLong }
            position = end.map { $0 + 1 } ?? rest.endIndex
            if end != nil { return line }
        }
    }

    /// False at the end of the file.
    private func fill() throws(Problem) -> Bool {
        var code: CInt = 0
        piece = [UInt8](unsafeUninitializedCapacity: Self.pieceSize) { buffer, count in
            while true {
                let result = Foundation.read(descriptor, buffer.baseAddress, Self.pieceSize)
                if result < 0, errno == EINTR { continue }
                if result < 0 { code = errno }
                return count = max(0, result)
            }
        }
        position = 0
        guard code == 0 else { throw .unreadable(code) }
        return !piece.isEmpty
    }
}

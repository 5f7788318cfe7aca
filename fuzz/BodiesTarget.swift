// Bodies in chunked coding: content, end and refusal do not depend on the pieces in which the bytes arrive.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    let whole = read(bytes, pieces: [bytes.count])
    check(read(bytes, pieces: [1]) == whole, "one byte at a time the body is another one")
    check(read(bytes, pieces: [3, 1, 11]) == whole, "cut at odd places the body is another one")
    check(whole.content.count <= count, "more content than bytes")
    return 0
}

private struct Body: Equatable {
    var content: [UInt8] = []
    var consumed = 0
    var isFinished = false
    var isMalformed = false
}

private func read(_ bytes: [UInt8], pieces: [Int]) -> Body {
    var body = Body()
    var reader = ChunkedReader()
    forEachPiece(of: bytes, pieces) { piece in
        var position = 0
        while !body.isFinished, !body.isMalformed {
            switch reader.next(piece, &position) {
            case .content(let range):
                check(range.upperBound <= piece.byteCount, "content lies outside")
                piece.withUnsafeBytes { body.content += $0[range] }
            case .needMore:
                body.consumed += position
                return
            case .finished:
                body.isFinished = true
                body.consumed += position
            case .malformed:
                body.isMalformed = true
                body.consumed += position
            }
        }
    }
    return body
}

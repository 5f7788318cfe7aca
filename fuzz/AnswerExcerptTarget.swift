// The ends of an answer in which tokens, times and ids are looked for: the result does not depend on the pieces, and no number
// traps.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    let whole = tail(bytes, pieces: [bytes.count]).usage()
    // When there is more than what is kept, the sizes of the pieces decide how much is searched.
    let byteByByte = tail(bytes, pieces: [1]).usage()
    _ = tail(bytes, pieces: [7]).firstID()
    if let json = try? JSON(parsing: bytes) { _ = AnswerAsStream.events(json) }
    if count <= AnswerExcerpt.kept { check(byteByByte == whole, "one byte at a time it finds something else") }
    _ = ErrorReply(status: count, code: "x", message: String(decoding: bytes, as: UTF8.self)).streamEvent(.anthropic)
    return 0
}

private func tail(_ bytes: [UInt8], pieces: [Int]) -> AnswerExcerpt {
    var tail = AnswerExcerpt()
    forEachPiece(of: bytes, pieces) { tail.append($0, 0..<$0.byteCount, isStream: true) }
    return tail
}

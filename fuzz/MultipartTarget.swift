// Forms: what is found in a whole form lies inside it; the beginning of a form never says more than the whole.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    _ = MultipartScanner.boundary(contentType: String(decoding: bytes.prefix(200), as: UTF8.self))
    let span = bytes.span.bytes
    guard let facts = try? MultipartScanner.facts(span, boundary: "b") else { return 0 }
    if let range = facts.modelRange { check(range.upperBound <= count, "the model lies outside") }
    check(MultipartScanner.factsSoFar(span, boundary: "b") == facts, "taken as a beginning it says something else")
    return 0
}

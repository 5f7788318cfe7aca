// Forms: the result does not depend on the pieces in which a form arrives, and the model lies inside the form.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    _ = MultipartScanner.boundary(contentType: String(decoding: bytes.prefix(200), as: UTF8.self))
    let whole = scan(bytes, pieces: [bytes.count])
    check(scan(bytes, pieces: [1]) == whole, "one byte at a time it says something else")
    check(scan(bytes, pieces: [5, 1, 23]) == whole, "cut at odd places it says something else")
    guard case .success(let facts) = whole, let range = facts.modelRange else { return 0 }
    check(range.upperBound <= count, "the model lies outside")
    check(facts.model == String(decoding: bytes[range], as: UTF8.self), "the model is not what lies there")
    return 0
}

private func scan(_ bytes: [UInt8], pieces: [Int]) -> Result<RequestFacts, RequestScanProblem> {
    var scanner = MultipartScanner(boundary: "b")
    forEachPiece(of: bytes, pieces) { scanner.feed($0) }
    do { return .success(try scanner.finish()) } catch { return .failure(error) }
}

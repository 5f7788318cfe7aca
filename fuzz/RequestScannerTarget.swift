// The scanner of request bodies: its result does not depend on the pieces in which a body arrives. The tree parser of the control
// plane accepts what it accepts and finds the same model. The prompt that it finds does not depend on the pieces either.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    let whole = scan(bytes, pieces: [bytes.count])
    check(scan(bytes, pieces: [1]) == whole, "one byte at a time it says something else")
    check(scan(bytes, pieces: [7, 2, 31]) == whole, "cut at odd places it says something else")
    guard case .success(let found) = whole else { return 0 }
    let facts = found.facts
    if let end = found.ends.last { check(found.ends == found.ends.sorted() && end <= found.length, "the links are out of order") }
    check(facts.bodyLength == count, "the length is wrong")
    if let range = facts.modelRange { check(range.upperBound <= count && !range.isEmpty, "the model lies outside") }
    for range in facts.systemTexts { check(range.upperBound <= count, "a system text lies outside") }
    guard let tree = try? JSON(parsing: bytes) else { return 0 }  // the tree allows fewer levels
    if let model = facts.model { check(tree["model"]?.stringValue == model, "another model than the tree's") }
    return 0
}

private func scan(_ bytes: [UInt8], pieces: [Int]) -> Result<Found, RequestScanProblem> {
    var scanner = RequestScanner()
    forEachPiece(of: bytes, pieces) { scanner.feed($0) }
    do {
        var found = Found(facts: try scanner.finish())
        guard let prompt = scanner.prompt else { return .success(found) }
        found.length = prompt.length
        found.images = prompt.images
        prompt.forEachLink { hash, end, _ in
            found.hashes.append(hash)
            found.ends.append(end)
        }
        return .success(found)
    } catch { return .failure(error) }
}

private struct Found: Equatable {
    var facts: RequestFacts
    var hashes: [UInt64] = []
    var ends: [Int] = []
    var length = 0
    var images = 0
}

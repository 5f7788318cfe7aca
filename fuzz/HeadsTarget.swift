// Heads of requests and answers: where a head ends does not depend on the reads, all ranges lie inside, and a head that is
// written from an accepted one is accepted and has no hop-by-hop fields.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    let whole = end(of: bytes, steps: [bytes.count])
    check(end(of: bytes, steps: [1]) == whole, "the end of the head depends on the reads")
    guard case .complete(let length) = whole else { return 0 }
    let head = Array(bytes[..<length])
    parse(head, asRequest: true)
    parse(head, asRequest: false)
    return 0
}

private func end(of bytes: [UInt8], steps: [Int]) -> HeadEndScanner.Outcome {
    var scanner = HeadEndScanner()
    var known = 0
    var step = 0
    while true {
        known = min(bytes.count, known + max(1, steps[step % steps.count]))
        step += 1
        let outcome = scanner.scan(bytes.span.bytes.extracting(first: known), limit: 1 << 20)
        if outcome != .needMore || known == bytes.count { return outcome }
    }
}

private func parse(_ bytes: [UInt8], asRequest: Bool) {
    var head = HTTPHead()
    guard read(bytes, asRequest, into: &head) else { return }
    for field in head.fields {
        check(field.name.upperBound <= field.value.lowerBound && field.lineEnd <= bytes.count, "a field lies outside")
    }
    var writer = ByteWriter()
    let source = bytes.span.bytes
    writer.write(source, 0..<head.fieldsStart)
    writer.copyFields(of: head, from: source, except: FieldSet())
    writer.endHead()
    var again = HTTPHead()
    check(read(writer.bytes, asRequest, into: &again), "what was written out of an accepted head is refused")
    check(!again.fields.contains { $0.known.isHopByHop }, "a hop-by-hop field has passed")
    check(again.fields.count <= head.fields.count, "fields were added")
    check(!asRequest || again.first(.host) != nil || again.minorVersion == 0, "the host was lost")
}

private func read(_ bytes: [UInt8], _ asRequest: Bool, into head: inout HTTPHead) -> Bool {
    do {
        if asRequest { try head.parseRequest(bytes.span.bytes) } else { try head.parseAnswer(bytes.span.bytes) }
        return true
    } catch { return false }
}

extension PromptReader {
    /// A string begins in a message: what it is depends on the keys before it.
    @inline(__always)
    mutating func beginString(_ depth: Int) {
        sink = awaitsRole ? .none : sinkOfString(depth)
        isFresh = sink == .text
        if sink == .picture || sink == .sound { beginPicture() }
    }

    private mutating func beginPicture() {
        suspended = hash
        hash = PromptHash(hasLinks: false)
    }

    @inline(__always)
    private func sinkOfString(_ depth: Int) -> Sink {
        if part == .images { return .picture }
        guard holderDepth != 0 else { return .text }
        let named = depth == keyDepth ? key : .other
        return switch holder {
        case .imageURL: named == .url || depth == holderDepth ? .picture : .text
        case .source: named == .url || named == .data ? .picture : .text
        case .images: depth <= holderDepth + 1 ? .picture : .text
        case .audio: named == .data ? .sound : .text
        case .other, .text, .role, .arguments, .skipped, .url, .data: .text
        }
    }

    /// A slice of the current string.
    ///
    /// - Parameter isRewritten: it may have escapes that the hashed form does not have.
    @inline(__always)
    mutating func slice(_ bytes: Bytes, _ range: Range<Int>, isRewritten: Bool) {
        var range = range
        guard !range.isEmpty else { return }
        if isFresh {
            isFresh = false
            line.begin(bytes[range.lowerBound])
        }
        if line.isHeld {
            range = hold(bytes, range)
            guard !range.isEmpty else { return }
        }
        if isRewritten || text.isCut {
            text.absorb(bytes.extracting(range), &hash, &links)
        } else {
            hash.absorb(bytes, range, &links)
        }
    }

    /// The current string has ended.
    @inline(__always)
    mutating func stringEnded() {
        if line.isHeld { releaseLine(isWhole: true) }
        if text.isCut { text.end(&hash, &links) }
        if documentDepth != 0 { absorb(0x2C22, count: 2) }
        if sink != .text { endPicture() }
        sink = .none
    }

    private mutating func hold(_ bytes: Bytes, _ range: Range<Int>) -> Range<Int> {
        let rest = line.hold(bytes, range)
        if line.isDecided { releaseLine(isWhole: false) }
        return rest
    }

    private mutating func releaseLine(isWhole: Bool) {
        let held = line.release()
        held.withBytes { bytes in
            let start = VolatileLine.length(bytes, isWhole: isWhole)
            text.absorb(bytes.extracting(start...), &hash, &links)
        }
        line.giveBack(held)
    }

    private mutating func endPicture() {
        let digest = hash.digest
        hash = suspended
        absorb(digest, count: 8)
        hash.skip(Self.pictureLength - 8)
        if sink == .picture { unit.images &+= 1 }
    }
}

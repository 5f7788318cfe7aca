/// Finds the prompt in a body that `RequestScanner` passes over: it is told of keys, values and slices of strings, and hashes those that
/// engines turn into prompt.
///
/// It knows no more of the path to a value than a few depths, at which something began. Depths are numbers of open brackets, as in the
/// scanner: keys of the top level are at depth 1.
struct PromptReader: Sendable {
    /// What pictures and sounds count for, in bytes: the length of their base64 says nothing of the number of tokens. An engine makes
    /// some hundreds of tokens of a picture.
    static let pictureLength = 3000
    /// Units and inner links for which memory is kept between requests: those of a long conversation.
    private static let usualCount = 1024

    /// Where the current string goes.
    enum Sink: UInt8, Sendable {
        /// It is a key, or no content.
        case none
        case text, picture, sound
    }

    /// Whether the prompt is wanted at all.
    private var isOn = true
    /// Where the current string goes.
    var sink = Sink.none
    /// The top-level value that is being read.
    var part = PromptPart.none
    /// Its objects are messages.
    private var listsMessages = false
    /// One bit for each part that has been seen.
    private var partsSeen: UInt32 = 0

    // The current unit. It ends when the next one begins, or at the next key of the top level.
    private var isOpen = false
    var unit = PromptUnit(part: .none, role: 0, firstLink: 0)
    var hash = PromptHash()
    var text = PromptText()
    /// The depth of its keys; Int.max when it has no role.
    private var unitDepth = Int.max
    /// The units that have ended, in the order of the body.
    var units = ScratchList<PromptUnit>()
    /// Their inner boundaries.
    var links = ScratchList<PromptHash.Link>()

    // Depths; 0 when it is not so.
    /// Everything below is content: keys, values and brackets.
    var documentDepth = 0
    /// The value of the key at this depth does not count, nor anything inside it.
    private var skipDepth = 0
    /// The last key and its depth.
    var keyDepth = 0
    var key = PromptKey.other
    /// What may hold a picture or a sound, and the depth of its key.
    var holderDepth = 0
    var holder = PromptKey.other
    /// The hash of an unknown key, which counts if its value does; 0 when there is none.
    private var pendingKey: UInt64 = 0

    /// The unit's hash while a picture is hashed.
    var suspended = PromptHash()
    var line = VolatileLine()
    /// Nothing of the current string has been seen, and it may begin with a line that does not count.
    var isFresh = false

    /// Whether a value that may count is being read.
    var isActive: Bool { part != .none }
    /// Whether numbers and literals count here.
    var takesScalars: Bool { isOpen && skipDepth == 0 }
    /// Whether the string that is read, or that may come next, is the role of a message.
    var awaitsRole = false

    /// Prepares for the next body and keeps some memory.
    mutating func reset(isOn: Bool) {
        self.isOn = isOn
        sink = .none
        part = .none
        listsMessages = false
        partsSeen = 0
        isOpen = false
        text = PromptText()
        line.reset()
        awaitsRole = false
        units.removeAll(keeping: Self.usualCount)
        links.removeAll(keeping: Self.usualCount)
    }
}

// MARK: - Keys and values

extension PromptReader {
    /// A key of the top level has ended.
    mutating func topLevelKeyEnded(_ name: Bytes) {
        guard isOn else { return }
        if isOpen { endUnit() }
        listsMessages = false
        part = PromptPart(name)
    }

    /// A key inside a part has ended. `name` has no escapes.
    mutating func keyEnded(_ name: Bytes, raw: Bytes, _ depth: Int) {
        guard isOpen else { return }
        if skipDepth != 0 {
            if depth > skipDepth { return }
            skipDepth = 0
        }
        if documentDepth != 0 {
            if name.equals("cache_control") { skipDepth = depth } else { absorbKey(raw) }
            return
        }
        if holderDepth >= depth { holderDepth = 0 }
        keyDepth = depth
        pendingKey = 0
        awaitsRole = false
        key = PromptKey(name)
        switch key {
        case .skipped: skipDepth = depth
        case .other: pendingKey = PromptHash.of(name)
        case .imageURL, .source, .images, .audio:
            holder = key
            holderDepth = depth
        case .role: awaitsRole = depth == unitDepth
        case .text, .arguments, .url, .data: break
        }
    }

    private mutating func absorbKey(_ raw: Bytes) {
        absorb(0x22, count: 1)
        text.absorb(raw, &hash, &links)
        text.end(&hash, &links)
        absorb(0x3A22, count: 2)
    }

    /// A value begins with this byte.
    @inline(__always)
    mutating func valueBegins(_ byte: UInt8, _ depth: Int) {
        if depth <= 2 { partBegins(byte, depth) }
        guard takesScalars else { return }
        if documentDepth != 0 { return documentValueBegins(byte) }
        if pendingKey != 0 {
            if byte != UInt8(ascii: "n") { absorb(pendingKey, count: 8) }
            pendingKey = 0
        }
        switch byte {
        case UInt8(ascii: "\""): beginString(depth)
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            awaitsRole = false
            guard key == .arguments, depth == keyDepth else { return }
            documentDepth = depth
            absorb(UInt64(byte), count: 1)
        default: break
        }
    }

    /// A part or a message may begin.
    private mutating func partBegins(_ byte: UInt8, _ depth: Int) {
        guard depth > 1 else { return beginPart(byte) }
        guard listsMessages else { return }
        if byte == UInt8(ascii: "{") {
            if isOpen { endUnit() }
            beginUnit(keysAt: 3)
        } else if !isOpen, byte != UInt8(ascii: "n") {
            beginUnit(keysAt: .max)
        }
    }

    private mutating func documentValueBegins(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "{"), UInt8(ascii: "["): absorb(UInt64(byte), count: 1)
        case UInt8(ascii: "\""):
            absorb(0x22, count: 1)
            sink = .text
            isFresh = false
        default: break
        }
    }

    /// A bracket has closed; `depth` is what is left.
    mutating func closed(isObject: Bool, _ depth: Int) {
        if skipDepth != 0 {
            if depth >= skipDepth { return }
            skipDepth = 0
        }
        if documentDepth != 0 {
            absorb(isObject ? 0x2C7D : 0x2C5D, count: 2)
            if depth == documentDepth { documentDepth = 0 }
        }
        keyDepth = 0
        pendingKey = 0
        awaitsRole = false
        if holderDepth > depth { holderDepth = 0 }
        if isOpen, depth == 0 || depth == 2 && unitDepth == 3 { endUnit() }
    }

    /// A slice of a number, or `true`, `false` or `null`, which counts in documents only.
    mutating func scalar(_ bytes: Bytes, _ range: Range<Int>) { hash.absorb(bytes, range, &links) }

    /// A number has ended.
    mutating func scalarEnded() { absorb(0x2C, count: 1) }

    /// `true`, `false` or `null` has ended.
    mutating func literalEnded(_ literal: Bytes, isNull: Bool) {
        guard takesScalars, !isNull || documentDepth != 0 else { return }
        scalar(literal, 0..<literal.count)
        scalarEnded()
    }

    /// The role of the message has ended. `name` has no escapes.
    mutating func roleEnded(_ name: Bytes) {
        awaitsRole = false
        unit.role = PromptPart.role(name)
    }

    /// Hashes up to 8 bytes, the first one lowest.
    @inline(never)
    mutating func absorb(_ value: UInt64, count: Int) { hash.absorb(UInt128(value), count: count, &links) }
}

// MARK: - Units

extension PromptReader {
    private mutating func beginPart(_ byte: UInt8) {
        // The value of the last of several equal keys counts.
        if partsSeen & part.bit != 0 {
            units.keep { $0.part != part }
            if units.isEmpty { links.removeAll() }
        }
        partsSeen |= part.bit
        guard byte != UInt8(ascii: "n") else { return }
        switch part.form {
        case .document:
            beginUnit(keysAt: .max)
            documentDepth = 1
        case .text: beginUnit(keysAt: .max)
        case .messages:
            listsMessages = byte == UInt8(ascii: "[")
            if !listsMessages { beginUnit(keysAt: 2) }
        }
    }

    private mutating func beginUnit(keysAt depth: Int) {
        isOpen = true
        unitDepth = depth
        documentDepth = 0
        skipDepth = 0
        keyDepth = 0
        holderDepth = 0
        pendingKey = 0
        if units.count >= PromptOutline.maximumUnits, let last = units.last, last.part == part {
            unit = last
            units.removeLast()
            return
        }
        hash = PromptHash()
        unit = PromptUnit(part: part, role: part.role, firstLink: Int32(truncatingIfNeeded: links.count))
    }

    private mutating func endUnit() {
        isOpen = false
        documentDepth = 0
        unit.length = hash.length
        // A template says nothing of an empty list of tools.
        if part.form == .document, unit.length <= 3 { return }
        unit.hash = hash.digest
        unit.linkCount = Int32(truncatingIfNeeded: links.count) - unit.firstLink
        units.append(unit)
    }
}

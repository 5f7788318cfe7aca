/// Validates a JSON request body and finds what routing needs, in one pass over its bytes.
///
/// The body may arrive in pieces of any size. No tree is built, and only the few short values of interest are copied. Only
/// keys at the top level are recognised, also when they are written with escapes. The same key in a nested object or inside a
/// string is ignored.
package struct RequestScanner: Sendable {
    /// Levels of nesting. A deeper body is refused.
    static let maximumDepth = 512
    /// Bytes of `model`. A longer one is refused.
    static let maximumModelLength = 1024
    /// Bytes of a key or another value of interest, in its raw form in the body. A longer one is ignored.
    static let maximumCapturedLength = 8 * maximumModelLength
    /// System texts that are remembered. Further ones are ignored.
    static let maximumSystemTexts = 64

    package private(set) var facts = RequestFacts()

    var state = State.value
    private var depth = 0
    /// One bit for each level: set for an object, clear for an array.
    private var levels = InlineArray<8, UInt64>(repeating: 0)
    /// The number of body bytes before the current piece.
    var offset = 0
    var problem: RequestScanProblem?
    /// The body is known not to be valid JSON.
    package var hasFailed: Bool { problem != nil }

    private var literal = Literal.null
    private var literalIndex = 0
    private var unicodeDigits = 0
    private var utf8 = UTF8Tail()

    // The current string.
    private var isKey = false
    /// Which of `modelKeys` have come, one bit for each.
    private var modelKeysSeen: UInt8 = 0
    private var captures = false
    var stringStart = 0
    /// What earlier pieces contained of the captured string, with escapes unresolved.
    private var carried: [UInt8] = []
    /// How many bytes of the current string are kept.
    var carriedCount: Int { carried.count }
    private var carriedTooLong = false

    // The keys that lead to the current value, as far as they are needed.
    private var topKey = Key.other
    private var messageKey = Key.other
    private var partKey = Key.other
    private var messagesSeen = false
    private var messageIsSystem = false
    private var messageTexts: [Range<Int>] = []

    var promptReader = PromptReader()
    /// Where the current number begins.
    var numberStart = 0
    /// The current string may have an escape that the hashed form of a text does not have.
    var isRewritten = false

    package init() {}

    /// Prepares for the next body and keeps allocated memory.
    ///
    /// - Parameter readsPrompt: whether `prompt` is wanted.
    package mutating func reset(readsPrompt: Bool = true) {
        // The other properties are set before they are used.
        facts = RequestFacts()
        modelKeysSeen = 0
        state = .value
        depth = 0
        offset = 0
        problem = nil
        utf8 = UTF8Tail()
        captures = false
        topKey = .other
        messageKey = .other
        partKey = .other
        messagesSeen = false
        messageIsSystem = false
        promptReader.reset(isOn: readsPrompt)
        if !messageTexts.isEmpty { messageTexts.removeAll(keepingCapacity: true) }
        if !carried.isEmpty { carried.removeAll(keepingCapacity: true) }
    }

    /// Reads the next piece. Returns false as soon as the body cannot be valid JSON.
    @discardableResult
    package mutating func feed(_ bytes: RawSpan) -> Bool {
        bytes.withBytes { feed($0) }
    }

    /// The body has ended. Returns the facts that were found. Throws when the body was not a valid JSON document, or was
    /// refused.
    package mutating func finish() throws(RequestScanProblem) -> RequestFacts {
        if let problem { throw problem }
        if state.canEndNumber, depth == 0 { state = .done }
        guard state == .done else {
            throw RequestScanProblem(
                message: offset == 0 ? "the body is empty; a JSON object is needed" : "the JSON document is cut off",
                offset: offset)
        }
        facts.bodyLength = offset
        return facts
    }

    enum State: UInt8, Sendable {
        case value, firstElement, firstKey, key, colon, afterValue, done
        case string, escape, unicode
        case literal
        case minus, zero, integer, point, fraction, exponent, exponentSign, exponentDigits

        var isString: Bool { self == .string || self == .escape || self == .unicode }

        var isNumber: Bool { rawValue >= State.minus.rawValue }

        var canEndNumber: Bool {
            switch self {
            case .zero, .integer, .fraction, .exponentDigits: true
            case .value, .firstElement, .firstKey, .key, .colon, .afterValue, .done, .string, .escape, .unicode,
                .literal, .minus, .point, .exponent, .exponentSign:
                false
            }
        }
    }

    private enum Key: UInt8, Sendable {
        case other, model, stream, user, promptCacheKey, messages, system, role, content, text, name, follows

        init(_ raw: Bytes) {
            switch raw.count {
            case 4 where raw.equals("role"): self = .role
            case 4 where raw.equals("name"): self = .name
            case 4 where raw.equals("text"): self = .text
            case 4 where raw.equals("user"): self = .user
            case 5 where raw.equals("model"): self = .model
            case 6 where raw.equals("stream"): self = .stream
            case 6 where raw.equals("source"): self = .name
            case 6 where raw.equals("system"): self = .system
            case 7 where raw.equals("content"): self = .content
            case 8 where raw.equals("messages"): self = .messages
            case 12 where raw.equals("instructions"): self = .system
            case 12 where raw.equals("conversation"): self = .follows
            case 13 where raw.equals("input_file_id"): self = .follows
            case 16 where raw.equals("prompt_cache_key"): self = .promptCacheKey
            case 20 where raw.equals("previous_response_id"): self = .follows
            default: self = .other
            }
        }
    }

    private enum Literal: Sendable {
        case `true`, `false`, null

        var text: StaticString {
            switch self {
            case .true: "true"
            case .false: "false"
            case .null: "null"
            }
        }
    }
}

// MARK: - The walk

extension RequestScanner {
    private mutating func feed(_ bytes: Bytes) -> Bool {
        if problem != nil { return false }
        var index = 0
        while index < bytes.count {
            if state == .string, utf8.isComplete {
                index = StringText.end(bytes, from: index, isRewritten: &isRewritten)
                guard index < bytes.count else { break }
            }
            guard step(bytes[index], bytes, index) else {
                if problem == nil { fail("unexpected character", at: index) }
                return false
            }
            index += 1
        }
        if state.isString {
            if captures { carry(bytes, end: bytes.count) }
            addToPrompt(bytes, end: bytes.count)
        } else if state.isNumber {
            addNumberToPrompt(bytes, end: bytes.count)
        }
        offset += bytes.count
        return true
    }

    /// Reads one byte. Returns false when the grammar does not allow it here.
    private mutating func step(_ byte: UInt8, _ bytes: Bytes, _ index: Int) -> Bool {
        switch state {
        case .string:
            if !utf8.isComplete { return utf8.take(byte) }
            switch byte {
            case UInt8(ascii: "\""): return stringEnded(bytes, index)
            case UInt8(ascii: "\\"): state = .escape
            case 0..<0x20: return false
            case 0x80...: return utf8.begin(byte)
            default: break
            }
            return true
        case .escape:
            state = .string
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
                UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
                if byte == UInt8(ascii: "/") { isRewritten = true }
                return true
            case UInt8(ascii: "u"):
                isRewritten = true
                state = .unicode
                unicodeDigits = 0
                return true
            default: return false
            }
        case .unicode:
            unicodeDigits += 1
            if unicodeDigits == 4 { state = .string }
            return JSONString.hexadecimalValue(byte) != nil
        case .literal:
            let text = Bytes(literal.text)
            guard byte == text[literalIndex] else { return false }
            literalIndex += 1
            if literalIndex == text.count { literalEnded() }
            return true
        case .value, .firstElement, .firstKey, .key, .colon, .afterValue, .done:
            return byte.isJSONSpace || isPadding(byte, index) ? true : structure(byte, index)
        case .minus, .zero, .integer, .point, .fraction, .exponent, .exponentSign, .exponentDigits:
            return number(byte, bytes, index)
        }
    }

    /// A byte order mark in front of the document, or a NUL behind it. Engines accept both.
    private func isPadding(_ byte: UInt8, _ index: Int) -> Bool {
        switch state {
        case .done: byte == 0
        case .value where depth == 0 && byte >= 0x80:
            switch offset + index {
            case 0: byte == 0xEF
            case 1: byte == 0xBB
            case 2: byte == 0xBF
            default: false
            }
        default: false
        }
    }

    private mutating func structure(_ byte: UInt8, _ index: Int) -> Bool {
        switch state {
        case .value: return beginValue(byte, index)
        case .firstElement:
            if byte == UInt8(ascii: "]") { return close(isObject: false) }
            return beginValue(byte, index)
        case .firstKey where byte == UInt8(ascii: "}"): return close(isObject: true)
        case .firstKey, .key:
            guard byte == UInt8(ascii: "\"") else { return false }
            isKey = true
            beginString(index, captured: depth <= 5 || promptReader.isActive)
            return true
        case .colon:
            state = .value
            return byte == UInt8(ascii: ":")
        case .afterValue:
            switch byte {
            case UInt8(ascii: ","):
                state = isObject(depth) ? .key : .value
                return true
            case UInt8(ascii: "}"): return close(isObject: true)
            case UInt8(ascii: "]"): return close(isObject: false)
            default: return false
            }
        case .done, .string, .escape, .unicode, .literal, .minus, .zero, .integer, .point, .fraction, .exponent,
            .exponentSign, .exponentDigits:
            return false
        }
    }

    private mutating func beginValue(_ byte: UInt8, _ index: Int) -> Bool {
        if depth == 1 { forget(topKey) }
        if promptReader.isActive { promptReader.valueBegins(byte, depth) }
        switch byte {
        case UInt8(ascii: "{"): return open(isObject: true, index)
        case UInt8(ascii: "["): return open(isObject: false, index)
        case UInt8(ascii: "\""):
            isKey = false
            beginString(index, captured: wantsValue)
        case UInt8(ascii: "t"): beginLiteral(.true)
        case UInt8(ascii: "f"): beginLiteral(.false)
        case UInt8(ascii: "n"): beginLiteral(.null)
        case UInt8(ascii: "-"): beginNumber(.minus, index)
        case UInt8(ascii: "0"): beginNumber(.zero, index)
        case UInt8(ascii: "1")...UInt8(ascii: "9"): beginNumber(.integer, index)
        default: return false
        }
        return true
    }

    private mutating func beginNumber(_ first: State, _ index: Int) {
        state = first
        numberStart = offset + index
    }

    private mutating func beginLiteral(_ kind: Literal) {
        literal = kind
        literalIndex = 1
        state = .literal
    }

    private mutating func number(_ byte: UInt8, _ bytes: Bytes, _ index: Int) -> Bool {
        let isExponent = byte | 0x20 == UInt8(ascii: "e")
        switch state {
        case .minus where byte == UInt8(ascii: "0"): state = .zero
        case .minus where byte.isDigit: state = .integer
        case .integer where byte.isDigit, .fraction where byte.isDigit, .exponentDigits where byte.isDigit: break
        case .zero where byte == UInt8(ascii: "."), .integer where byte == UInt8(ascii: "."): state = .point
        case .point where byte.isDigit: state = .fraction
        case .zero where isExponent, .integer where isExponent, .fraction where isExponent: state = .exponent
        case .exponent where byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-"): state = .exponentSign
        case .exponent where byte.isDigit, .exponentSign where byte.isDigit: state = .exponentDigits
        case .zero, .integer, .fraction, .exponentDigits:
            addNumberToPrompt(bytes, end: index)
            if promptReader.takesScalars { promptReader.scalarEnded() }
            state = depth == 0 ? .done : .afterValue
            return byte.isJSONSpace ? true : structure(byte, index)
        case .minus, .point, .exponent, .exponentSign, .value, .firstElement, .firstKey, .key, .colon, .afterValue,
            .done, .string, .escape, .unicode, .literal:
            return false
        }
        return true
    }

    private mutating func open(isObject: Bool, _ index: Int) -> Bool {
        depth += 1
        guard depth < Self.maximumDepth else {
            fail("nested deeper than \(Self.maximumDepth) levels", at: index)
            return false
        }
        let bit = UInt64(1) << UInt64(depth & 63)
        if isObject { levels[depth >> 6] |= bit } else { levels[depth >> 6] &= ~bit }
        state = isObject ? .firstKey : .firstElement
        if depth == 3 {
            messageKey = .other
            messageIsSystem = false
            if !messageTexts.isEmpty { messageTexts.removeAll(keepingCapacity: true) }
        } else if depth == 5 {
            partKey = .other
        }
        return true
    }

    private mutating func close(isObject: Bool) -> Bool {
        guard depth > 0, self.isObject(depth) == isObject else { return false }
        depth -= 1
        if promptReader.isActive { promptReader.closed(isObject: isObject, depth) }
        if depth == 2, topKey == .messages, messageIsSystem { facts.systemTexts.append(contentsOf: messageTexts) }
        state = depth == 0 ? .done : .afterValue
        return true
    }

    private func isObject(_ level: Int) -> Bool { levels[level >> 6] >> UInt64(level & 63) & 1 == 1 }

    private mutating func fail(_ message: String, at index: Int) {
        problem = RequestScanProblem(message: message, offset: offset + index)
    }
}

// MARK: - Strings of interest

extension RequestScanner {
    /// Whether the string value that begins now has to be captured.
    private var wantsValue: Bool {
        switch depth {
        case 1:
            switch topKey {
            case .model, .user, .promptCacheKey, .name, .follows: true
            case .other, .stream, .messages, .system, .role, .content, .text: false
            }
        default: promptReader.awaitsRole || depth == 3 && topKey == .messages && isObject(3) && messageKey == .role
        }
    }

    private mutating func beginString(_ index: Int, captured: Bool) {
        state = .string
        stringStart = offset + index
        captures = captured
        isRewritten = false
        carriedTooLong = false
        if !carried.isEmpty { carried.removeAll(keepingCapacity: true) }
    }

    /// Keeps this piece's part of the captured string.
    private mutating func carry(_ bytes: Bytes, end: Int) {
        let start = max(0, stringStart + 1 - offset)
        guard start < end else { return }
        guard carried.count + end - start <= Self.maximumCapturedLength else {
            carriedTooLong = true
            return
        }
        carried.append(bytes, start..<end)
    }

    private mutating func stringEnded(_ bytes: Bytes, _ index: Int) -> Bool {
        addToPrompt(bytes, end: index)
        if promptReader.sink != .none { promptReader.stringEnded() }
        state = isKey ? .colon : depth == 0 ? .done : .afterValue
        guard captures else {
            if !isKey { noteSystemText(end: offset + index) }
            return true
        }
        captures = false
        let isWhole = stringStart >= offset && carried.isEmpty
        if !isWhole { carry(bytes, end: index) }
        if carriedTooLong || offset + index - stringStart - 1 > Self.maximumCapturedLength {
            return isKey ? keyEnded(Bytes(""), raw: Bytes("")) : longValue(index)
        }
        if isWhole {
            return captured(bytes.extracting((stringStart + 1 - offset)..<index), index)
        }
        let kept = carried
        return kept.withBytes { captured($0, index) }
    }

    private mutating func captured(_ raw: Bytes, _ index: Int) -> Bool {
        let hasEscapes = raw.hasEscapes
        if isKey {
            guard hasEscapes else { return keyEnded(raw, raw: raw) }
            let decoded = Array((JSONString.decode(raw) ?? "").utf8)
            return decoded.withBytes { keyEnded($0, raw: raw) }
        }
        if depth > 1 {
            if topKey == .messages, depth == 3 { messageIsSystem = raw.equals("system") || raw.equals("developer") }
            if promptReader.awaitsRole {
                let name = hasEscapes ? Array((JSONString.decode(raw) ?? "").utf8) : []
                if hasEscapes { name.withBytes { promptReader.roleEnded($0) } } else { promptReader.roleEnded(raw) }
            }
            return true
        }
        let text = hasEscapes ? JSONString.decode(raw) : raw.text
        switch topKey {
        case .model:
            guard raw.count <= Self.maximumModelLength else { return longValue(index) }
            facts.model = text
            facts.modelRange = stringStart..<(offset + index + 1)
        case .user: facts.user = text
        case .promptCacheKey: facts.promptCacheKey = text
        case .name: facts.name = text
        case .follows: facts.follows = text
        case .other, .stream, .messages, .system, .role, .content, .text: break
        }
        return true
    }

    private mutating func longValue(_ index: Int) -> Bool {
        guard topKey == .model, depth == 1 else { return true }
        fail("the value of `model` is longer than \(Self.maximumModelLength) bytes", at: index)
        return false
    }

    private mutating func keyEnded(_ name: Bytes, raw: Bytes) -> Bool {
        setKey(Key(name))
        if depth == 1 {
            noteModelKey(name)
            promptReader.topLevelKeyEnded(name)
        } else if promptReader.isActive {
            promptReader.keyEnded(name, raw: raw, depth)
        }
        return true
    }

    private mutating func noteModelKey(_ name: Bytes) {
        guard (4...6).contains(name.count), topKey == .other || topKey == .model || topKey == .name else { return }
        for (known, bit) in Self.modelKeys where FieldName.equalIgnoringCase(name, known) {
            if modelKeysSeen & bit != 0 || !name.equals(known) { facts.hasSeveralModels = true }
            modelKeysSeen |= bit
        }
    }

    /// `name` and `source` mean the same to Ollama.
    private static let modelKeys: [(StaticString, UInt8)] = [("model", 1), ("name", 2), ("source", 2)]

    private mutating func setKey(_ key: Key) {
        switch depth {
        case 1: topKey = key
        case 3: messageKey = key
        case 5: partKey = key
        default: break
        }
    }

    /// A value of this top-level key begins, so an earlier value of the same key no longer counts.
    private mutating func forget(_ key: Key) {
        switch key {
        case .model:
            facts.model = nil
            facts.modelRange = nil
        case .stream: facts.stream = nil
        case .user: facts.user = nil
        case .name: facts.name = nil
        // Three keys name it, and a later null of another key takes nothing back.
        case .follows: break
        case .promptCacheKey: facts.promptCacheKey = nil
        case .messages:
            if messagesSeen { facts.systemTexts.removeAll() }
            messagesSeen = true
        case .other, .system, .role, .content, .text: break
        }
    }

    private mutating func literalEnded() {
        if promptReader.isActive { promptReader.literalEnded(Bytes(literal.text), isNull: literal == .null) }
        if depth == 1, topKey == .stream, literal != .null { facts.stream = literal == .true }
        state = depth == 0 ? .done : .afterValue
    }

    /// Remembers the range of the string that has just ended if it is, or may turn out to be, the text of a system message.
    private mutating func noteSystemText(end: Int) {
        let range = (stringStart + 1)..<end
        switch (depth, topKey) {
        case (1, .system), (3, .system):
            guard depth == 1 || messageKey == .text else { return }
            if facts.systemTexts.count < Self.maximumSystemTexts { facts.systemTexts.append(range) }
        case (3, .messages), (5, .messages):
            guard messageKey == .content, isObject(depth), depth == 3 || partKey == .text else { return }
            if messageTexts.count + facts.systemTexts.count < Self.maximumSystemTexts { messageTexts.append(range) }
        default: break
        }
    }
}

/// A running hash of one part of a prompt, in the manner of wyhash: a 128-bit product for each block of 16 bytes.
///
/// Two lanes take turns, so that a processor need not wait for one product before it begins the next. The hash depends on the
/// bytes alone, not on the slices in which they come, nor on the processor.
struct PromptHash: Sendable {
    /// A boundary inside a unit of the prompt.
    struct Link: Sendable {
        /// Of the unit's content before the boundary.
        var hash: UInt64
        /// In bytes from the start of the unit.
        var end: Int
    }

    private static let first: UInt64 = 0x2D35_8DCC_AA6C_78A5
    private static let second: UInt64 = 0x8BB8_4B93_962E_ACC9
    private static let third: UInt64 = 0x4B33_A62E_D433_D4A3
    private static let fourth: UInt64 = 0x4D5A_2DA5_1DE1_AA47
    /// Inner boundaries are at least this many bytes apart. A message of this length costs an engine some 300 tokens.
    private static let shortestBlock = 1024
    /// Inner boundaries are at least this part of what lies before them apart, so that a long text does not have many.
    private static let blocksBefore = 24

    private var lane = first
    private var otherLane = second
    /// The bytes after the last whole block, the first one lowest.
    private var pending: UInt128 = 0
    private var pendingCount = 0
    /// The content in whole blocks; a multiple of 16.
    private var position = 0
    private var nextLink: Int

    init(hasLinks: Bool = true) { nextLink = hasLinks ? Self.shortestBlock : .max }

    /// Bytes of content so far.
    var length: Int { position &+ pendingCount }

    /// The hash of the content so far.
    var digest: UInt64 {
        let (low, high) = (UInt64(truncatingIfNeeded: pending), UInt64(truncatingIfNeeded: pending &>> 64))
        let folded = Self.mix(low ^ Self.first, high ^ lane)
        return Self.mix(folded ^ Self.third, otherLane ^ UInt64(truncatingIfNeeded: length))
    }

    /// Both factors of a product, folded into one word.
    @inline(__always)
    static func mix(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let product = left.multipliedFullWidth(by: right)
        return product.high ^ product.low
    }

    /// The hash of a prompt's beginning and the role of what follows.
    static func joined(_ beginning: UInt64, role: UInt64) -> UInt64 { mix(beginning ^ first, role ^ fourth) }

    /// The hash of a prompt up to a boundary in the unit with this hash of its beginning and role.
    static func joined(_ start: UInt64, link: UInt64) -> UInt64 { mix(start ^ second, link ^ third) }

    /// The hash of a short text, such as a role.
    static func of(_ bytes: Bytes) -> UInt64 {
        var hash = PromptHash(hasLinks: false)
        var links = ScratchList<Link>()
        hash.absorb(bytes, 0..<bytes.count, &links)
        return hash.digest
    }

    /// Counts content that is not hashed itself. `count` must be a multiple of 16, because boundaries lie at whole blocks.
    mutating func skip(_ count: Int) { position &+= count }

    /// Hashes up to 16 bytes, the first one lowest. The bits above them must be clear.
    @inline(__always)
    mutating func absorb(_ value: UInt128, count: Int, _ links: inout ScratchList<Link>) {
        pending |= value &<< UInt128(truncatingIfNeeded: 8 &* pendingCount)
        let total = pendingCount &+ count
        guard total >= 16 else {
            pendingCount = total
            return
        }
        let block = pending
        let used = 16 &- pendingCount
        pending = used == 16 ? 0 : value &>> UInt128(truncatingIfNeeded: 8 &* used)
        pendingCount = total &- 16
        take(UInt64(truncatingIfNeeded: block), UInt64(truncatingIfNeeded: block &>> 64))
        position &+= 16
        if position >= nextLink { addLink(&links) }
    }

    /// Hashes a range of the bytes.
    mutating func absorb(_ bytes: Bytes, _ range: Range<Int>, _ links: inout ScratchList<Link>) {
        var index = range.lowerBound
        let end = range.upperBound
        if pendingCount != 0 {
            let count = min(end &- index, 16 &- pendingCount)
            absorb(bytes.loadUpToSixteen(index, count), count: count, &links)
            index &+= count
        }
        while end &- index >= 16 {
            // After an image, the next boundary may lie behind: then one block leads to it.
            let whole = min((end &- index) &>> 4, max(1, (nextLink &- position) &>> 4))
            absorbBlocks(bytes, index, whole)
            index &+= 16 &* whole
            position &+= 16 &* whole
            if position >= nextLink { addLink(&links) }
        }
        if index < end { absorb(bytes.loadUpToSixteen(index, end &- index), count: end &- index, &links) }
    }

    @inline(__always)
    private mutating func absorbBlocks(_ bytes: Bytes, _ start: Int, _ count: Int) {
        var index = start
        var (one, other) = (lane, otherLane)
        for _ in 0..<(count &>> 1) {
            one = Self.mix(bytes.loadEight(index) ^ Self.first, bytes.loadEight(index &+ 8) ^ one)
            other = Self.mix(bytes.loadEight(index &+ 16) ^ Self.first, bytes.loadEight(index &+ 24) ^ other)
            index &+= 32
        }
        (lane, otherLane) = (one, other)
        if count & 1 == 1 { take(bytes.loadEight(index), bytes.loadEight(index &+ 8)) }
    }

    @inline(__always)
    private mutating func take(_ low: UInt64, _ high: UInt64) {
        (lane, otherLane) = (otherLane, Self.mix(low ^ Self.first, high ^ lane))
    }

    private mutating func addLink(_ links: inout ScratchList<Link>) {
        if links.count < PromptOutline.maximumLinks { links.append(Link(hash: digest(atBlock: position), end: position)) }
        nextLink = position &+ (max(Self.shortestBlock, position / Self.blocksBefore) &+ 15) & ~15
    }

    /// `digest` at the end of the last whole block.
    private func digest(atBlock position: Int) -> UInt64 {
        var block = self
        block.pending = 0
        block.pendingCount = 0
        return block.digest
    }
}

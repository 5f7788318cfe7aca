/// What the prompt of a request consists of: hashes of its beginnings at boundaries, which depend only on the content before them.
/// Two prompts that begin alike have the same first links, whatever else is in their bodies and however they are written.
package struct PromptOutline: Sendable {
    /// Messages that are told apart. What follows them counts as part of the last one.
    package static let maximumUnits = 4096
    /// Links of a prompt. There are no more behind them.
    package static let maximumLinks = 8192

    /// Bytes of prompt content. A picture or a sound counts as `PromptReader.pictureLength`.
    package private(set) var length = 0
    /// Where the last message begins, in bytes of prompt content.
    package private(set) var lastMessageStart = 0
    /// The number of pictures.
    package private(set) var images = 0
    /// The number of links.
    package private(set) var linkCount = 0

    private let units: ScratchList<PromptUnit>
    private let innerLinks: ScratchList<PromptHash.Link>
    /// One bit for each part of the prompt that is there.
    private var parts: UInt32 = 0

    init(units: ScratchList<PromptUnit>, innerLinks: ScratchList<PromptHash.Link>) {
        self.units = units
        self.innerLinks = innerLinks
        var last: PromptUnit?
        var lengthBefore = 0
        for index in 0..<units.count {
            let unit = units[index]
            parts |= unit.part.bit
            length += unit.length
            images += Int(unit.images)
            linkCount += Int(unit.linkCount) + 1
            // What stands behind the conversation holds no message.
            if unit.part <= .query, unit.part >= last?.part ?? .none { last = unit }
        }
        linkCount = min(linkCount, Self.maximumLinks)
        guard let last else { return }
        for index in 0..<units.count where units[index].part <= last.part { lengthBefore += units[index].length }
        lastMessageStart = lengthBefore - last.length
    }

    /// Calls `body` with each boundary, in order: the hash of all content before it, where it is in bytes of prompt content, and
    /// whether a message ends there.
    package func forEachLink(_ body: (_ hash: UInt64, _ end: Int, _ endsMessage: Bool) -> Void) {
        var (prefix, length, left): (UInt64, Int, Int) = (0, 0, linkCount)
        // The units in the order of the templates. Those of one part are in the order of the body.
        var rest = parts
        while rest != 0 {
            let bit = rest & (~rest &+ 1)
            rest &= ~bit
            for index in 0..<units.count where units[index].part.bit == bit {
                let unit = units[index]
                let start = PromptHash.joined(prefix, role: unit.role)
                for inner in unit.inner.prefix(left) {
                    let link = innerLinks[inner]
                    body(PromptHash.joined(start, link: link.hash), length + link.end, false)
                    left -= 1
                }
                prefix = PromptHash.joined(start, link: unit.hash)
                length += unit.length
                guard left > 0 else { return }
                body(prefix, length, true)
                left -= 1
            }
        }
    }
}

/// A message of a prompt, or something else that templates take as a whole.
struct PromptUnit: Sendable {
    var part: PromptPart
    /// A hash.
    var role: UInt64
    /// The first of its inner boundaries.
    var firstLink: Int32
    /// The number of its inner boundaries. Its end is a boundary as well.
    var linkCount: Int32 = 0
    /// In bytes of prompt content.
    var length = 0
    /// Of its content.
    var hash: UInt64 = 0
    var images: Int32 = 0

    /// Its inner boundaries.
    var inner: Range<Int> { Int(firstLink)..<Int(firstLink + linkCount) }
}

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

    private let units: [PromptUnit]
    private let innerLinks: [PromptHash.Link]
    /// One bit for each part of the prompt that is there.
    private var parts: UInt32 = 0

    init(units: [PromptUnit], innerLinks: [PromptHash.Link]) {
        self.units = units
        self.innerLinks = innerLinks
        for unit in units { parts |= unit.part.bit }
        forEachUnit { unit in
            if unit.part.isConversation || unit.part.rawValue < PromptPart.prefix.rawValue { lastMessageStart = length }
            length += unit.length
            images += unit.images
            linkCount += unit.linkCount + 1
        }
        linkCount = min(linkCount, Self.maximumLinks)
    }

    /// Calls `body` with each boundary, in order: the hash of all content before it, and where it is in bytes of prompt content.
    package func forEachLink(_ body: (_ hash: UInt64, _ end: Int) -> Void) {
        var (prefix, length, left): (UInt64, Int, Int) = (0, 0, linkCount)
        forEachUnit { unit in
            let start = PromptHash.joined(prefix, role: unit.role)
            for link in innerLinks[unit.firstLink..<(unit.firstLink + min(left, unit.linkCount))] {
                body(PromptHash.joined(start, link: link.hash), length + link.end)
                left -= 1
            }
            prefix = PromptHash.joined(start, link: unit.hash)
            length += unit.length
            guard left > 0 else { return }
            body(prefix, length)
            left -= 1
        }
    }

    /// The units in the order of the templates. Those of one part are in the order of the body.
    private func forEachUnit(_ body: (PromptUnit) -> Void) {
        var rest = parts
        while rest != 0 {
            let bit = rest & (~rest &+ 1)
            rest &= ~bit
            for unit in units where unit.part.bit == bit { body(unit) }
        }
    }
}

/// A message of a prompt, or something else that templates take as a whole.
struct PromptUnit: Sendable {
    var part: PromptPart
    /// A hash.
    var role: UInt64
    /// The first of its inner boundaries.
    var firstLink: Int
    /// The number of its inner boundaries. Its end is a boundary as well.
    var linkCount = 0
    /// In bytes of prompt content.
    var length = 0
    /// Of its content.
    var hash: UInt64 = 0
    var images = 0
}

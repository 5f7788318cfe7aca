/// What a request's prompt consists of: hashes of its beginnings, from which it can be told how much two prompts share.
///
/// A boundary lies at the end of each message, and inside a long message at growing distances. Where the boundaries are depends
/// only on the content before them, so two prompts that begin alike have the same first links.
package struct PromptChain: Sendable, Equatable, Codable {
    /// A boundary.
    package struct Link: Sendable, Equatable, Codable {
        /// Of all content before the boundary.
        package var hash: UInt64
        /// Where the boundary is, in bytes of prompt content.
        package var end: UInt32
        /// The boundary is not inside a message.
        package var endsMessage: Bool

        package init(hash: UInt64, end: UInt32, endsMessage: Bool = false) {
            self.hash = hash
            self.end = end
            self.endsMessage = endsMessage
        }
    }

    /// In order. Empty when nothing is known of the content, or when the engine does not keep it (embeddings).
    package var links: [Link]
    /// The length of the whole prompt, in bytes.
    package var length: Int
    /// Where the last message begins, in bytes.
    package var lastMessageStart: Int
    /// Only a model that sees can answer a prompt with images.
    package var images: Int

    package init(links: [Link] = [], length: Int, lastMessageStart: Int = 0, images: Int = 0) {
        self.links = links
        self.length = length
        self.lastMessageStart = lastMessageStart
        self.images = images
    }

    /// The number of links that both chains begin with.
    ///
    /// A link's hash covers everything before it, so a binary search finds the last common one.
    ///
    /// - Parameter known: so many are known to be common.
    package func commonLinks(with other: PromptChain, sharing known: Int = 0) -> Int {
        var (low, high) = (known, min(links.count, other.links.count))
        guard low < high, links[low].hash == other.links[low].hash else { return low }
        while low < high {
            let middle = (low + high) / 2
            if links[middle].hash == other.links[middle].hash { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The links that both chains begin with, and whether this one comes first in an order in which prompts that begin alike stand
    /// together.
    func compared(with other: PromptChain, sharing known: Int = 0) -> (links: Int, isBefore: Bool) {
        let common = commonLinks(with: other, sharing: known)
        guard common < links.count else { return (common, common < other.links.count) }
        return (common, common < other.links.count && links[common].hash < other.links[common].hash)
    }
}

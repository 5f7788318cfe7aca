import Routing

/// The boundaries of all recorded prompts: each one's parent is the last boundary that is known to lie before it.
///
/// A log has some links of each chain, and not the same ones of each. The tree has all that is known together: prompts with a boundary in
/// common have all boundaries before it in common.
struct BoundaryTree {
    struct Node {
        let link: PromptChain.Link
        fileprivate(set) var parent: Int?
        /// The text between the parent and the boundary.
        var content: UInt64
        /// Tokens before the boundary; nil until a prompt with it is built.
        var tokens: Int?
        /// The first request whose prompt has the boundary.
        var request = 0

        init(_ link: PromptChain.Link, model: Int) {
            self.link = link
            content = mixed(link.hash &+ UInt64(model) &* 0x9E37_79B9_7F4A_7C15)
        }

        /// A total order in which every parent is before its children. A boundary inside a message is before one at its end.
        fileprivate var place: (UInt32, Int, UInt64) { (link.end, link.endsMessage ? 1 : 0, link.hash) }
    }

    /// Models have no boundaries in common: engines share no cached tokens between them.
    private struct Key: Hashable {
        var model: Int
        var hash: UInt64
    }

    private(set) var nodes: [Node] = []
    private var numbers: [Key: Int] = [:]

    subscript(number: Int) -> Node {
        get { nodes[number] }
        set { nodes[number] = newValue }
    }

    mutating func set(tokens: Int, of number: Int, from request: Int) {
        nodes[number].tokens = tokens
        nodes[number].request = request
    }

    /// Learns what the chain tells of its boundaries.
    ///
    /// - Returns: the number of its last boundary; nil of an empty chain.
    @discardableResult
    mutating func add(_ chain: PromptChain, model: Int) -> Int? {
        var last: Int?
        for link in chain.links {
            let key = Key(model: model, hash: link.hash)
            let number = numbers[key] ?? nodes.count
            if number == nodes.count {
                numbers[key] = number
                nodes.append(Node(link, model: model))
            }
            if let last { put(last, before: number) }
            last = number
        }
        return last
    }

    /// One boundary lies before another one. Both may have further ones before them, which are then in one row.
    private mutating func put(_ ancestor: Int, before child: Int) {
        var (ancestor, child) = (ancestor, child)
        // Two hashes may be equal by chance; then what the chains tell need not fit together.
        guard nodes[ancestor].place < nodes[child].place else { return }
        while let parent = nodes[child].parent, parent != ancestor {
            if nodes[parent].place < nodes[ancestor].place {
                nodes[child].parent = ancestor
                (child, ancestor) = (ancestor, parent)
            } else {
                child = parent
            }
        }
        nodes[child].parent = ancestor
    }

    /// A boundary and all before it, in order.
    func path(to last: Int?) -> [Int] {
        var path: [Int] = []
        var next = last
        while let number = next {
            path.append(number)
            next = nodes[number].parent
        }
        return path.reversed()
    }
}

/// A bounded set of hashes. When it is full, the one that was added or touched the longest ago goes.
struct RecentHashes: Sendable {
    private struct Node: Sendable {
        var hash: UInt64
        /// Indices of the nodes that were touched after and before this one; -1 at the ends.
        var newer = -1
        var older = -1
    }

    private var nodes: [Node] = []
    private var indexOfHash: [UInt64: Int] = [:]
    private var newest = -1
    private var oldest = -1
    private let limit: Int

    init(limit: Int) { self.limit = max(1, limit) }

    var count: Int { nodes.count }

    func contains(_ hash: UInt64) -> Bool { indexOfHash[hash] != nil }

    /// Adds a hash, or makes it the newest.
    mutating func touch(_ hash: UInt64) {
        let index: Int
        if let known = indexOfHash[hash] {
            guard known != newest else { return }
            detach(known)
            index = known
        } else if nodes.count < limit {
            nodes.append(Node(hash: hash))
            index = nodes.count - 1
        } else {
            index = oldest
            detach(index)
            indexOfHash[nodes[index].hash] = nil
            nodes[index].hash = hash
        }
        indexOfHash[hash] = index
        nodes[index].newer = -1
        nodes[index].older = newest
        if newest >= 0 { nodes[newest].newer = index } else { oldest = index }
        newest = index
    }

    private mutating func detach(_ index: Int) {
        let (newer, older) = (nodes[index].newer, nodes[index].older)
        if newer >= 0 { nodes[newer].older = older } else { newest = older }
        if older >= 0 { nodes[older].newer = newer } else { oldest = newer }
    }
}

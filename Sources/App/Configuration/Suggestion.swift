/// "Did you mean": the valid name nearest to a written one.
enum Suggestion {
    /// Nil when no name is near enough to help: the limit is about one typing error in three characters.
    static func nearest(to written: String, among names: [String]) -> String? {
        let measured = names.map { (name: $0, slips: distance(written.lowercased(), $0.lowercased())) }
        guard let best = measured.min(by: { $0.slips < $1.slips }) else { return nil }
        let allowed = max(1, min(written.count, best.name.count) / 3)
        return best.slips <= allowed ? best.name : nil
    }

    /// The hint for an unknown name: the valid one that is meant or nearest, and the list of all.
    ///
    /// - Parameter synonyms: the names that other programs give to the same, with ours.
    static func hint(for written: String, among names: [String], synonyms: [String: String] = [:]) -> String {
        let list = names.joined(separator: ", ")
        let plain = written.lowercased().filter { $0 != "-" && $0 != "_" }
        guard let near = synonyms[plain] ?? nearest(to: written, among: names) else { return "valid: \(list)" }
        return "did you mean \"\(near)\"? (valid: \(list))"
    }

    /// Levenshtein's distance; two swapped neighbouring characters count as one error.
    static func distance(_ left: String, _ right: String) -> Int {
        let left = Array(left)
        let right = Array(right)
        // A long name is not a misspelt known name; this check also bounds the work.
        guard left.count <= 64, right.count <= 64 else { return left == right ? 0 : max(left.count, right.count) }
        var beforeLast: [Int] = []
        var last = Array(0...right.count)
        for row in left.indices {
            var current = [row + 1]
            for column in right.indices {
                let replaced = last[column] + (left[row] == right[column] ? 0 : 1)
                var best = min(replaced, last[column + 1] + 1, current[column] + 1)
                if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                    best = min(best, beforeLast[column - 1] + 1)
                }
                current.append(best)
            }
            beforeLast = last
            last = current
        }
        return last[right.count]
    }
}

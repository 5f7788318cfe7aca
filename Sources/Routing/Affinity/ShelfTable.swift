/// The sequences of one model on one server stand on one shelf. It says what they have in common with a prompt at most, so that most servers
/// need not be asked for each of their sequences.
struct ShelfTable: Sendable {
    private struct Shelf: Sendable {
        var sequences = 0
        /// The most tokens in common with the prompt of a look, and the number of that look.
        var most = 0.0
        var look: UInt32 = 0

        @inline(__always)
        mutating func note(_ tokens: Double, _ look: UInt32) {
            most = self.look == look ? max(most, tokens) : tokens
            self.look = look
        }
    }

    private struct Owner: Hashable, Sendable {
        var backend: BackendID
        var served: Int
    }

    private var shelves: [Shelf] = []
    private var free: [Int32] = []
    private var indexOfOwner: [Owner: Int32] = [:]

    /// The index of the sequence's shelf, which is kept as long as something stands on it.
    mutating func add(_ sequence: borrowing PromptSequence) -> Int32 {
        let owner = Owner(backend: sequence.backend, served: sequence.served)
        if let index = indexOfOwner[owner] {
            shelves[Int(index)].sequences += 1
            return index
        }
        let index = free.popLast() ?? Int32(shelves.count)
        if index == shelves.count { shelves.append(Shelf()) }
        shelves[Int(index)] = Shelf(sequences: 1)
        indexOfOwner[owner] = index
        return index
    }

    mutating func remove(_ sequence: borrowing PromptSequence, from index: Int32) {
        shelves[Int(index)].sequences -= 1
        guard shelves[Int(index)].sequences == 0 else { return }
        indexOfOwner[Owner(backend: sequence.backend, served: sequence.served)] = nil
        free.append(index)
    }

    @inline(__always)
    mutating func note(_ tokens: Double, on index: Int32, _ look: UInt32) { shelves[Int(index)].note(tokens, look) }

    @inline(__always)
    func most(on index: Int32, _ look: UInt32) -> Double {
        shelves[Int(index)].look == look ? shelves[Int(index)].most : 0
    }
}

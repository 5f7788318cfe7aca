extension RequestScanner {
    /// Elements for which the prompt's memory has room.
    var promptMemory: Int { promptReader.units.capacity + promptReader.links.capacity }

    /// What a prompt there is in the body that has been read; nil when there is none, or the body is not valid. To be thrown away
    /// before `reset`, which then need not allocate.
    package var prompt: PromptOutline? {
        guard state == .done, problem == nil, !promptReader.units.isEmpty else { return nil }
        return PromptOutline(units: promptReader.units, innerLinks: promptReader.links)
    }

    /// The prompt is told of this piece's part of the current string.
    @inline(__always)
    mutating func addToPrompt(_ bytes: Bytes, end: Int) {
        guard promptReader.sink != .none else { return }
        let start = max(0, stringStart + 1 - offset)
        promptReader.slice(bytes, start..<max(start, end), isRewritten: isRewritten || state == .escape)
        // What has been passed on says nothing of the next piece.
        isRewritten = false
    }

    /// The prompt is told of this piece's part of the current number.
    mutating func addNumberToPrompt(_ bytes: Bytes, end: Int) {
        guard promptReader.takesScalars else { return }
        promptReader.scalar(bytes, max(0, numberStart - offset)..<end)
    }
}

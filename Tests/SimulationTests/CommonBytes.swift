import Routing

extension PromptChain {
    /// How many bytes both prompts begin with, as far as the boundaries show it.
    func commonBytes(with other: PromptChain) -> Int {
        let count = commonLinks(with: other)
        return count > 0 ? Int(links[count - 1].end) : 0
    }
}

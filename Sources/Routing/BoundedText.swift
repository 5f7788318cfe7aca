extension String {
    /// The text itself if it has at most so many bytes, else as many whole Unicode scalars of it as fit.
    ///
    /// Counted in bytes, because a single `Character` may have any number of them.
    package func cut(toBytes limit: Int) -> String {
        // Most texts are short, and are not copied.
        utf8.count <= limit ? self : String(self[..<utf8.index(startIndex, offsetBy: limit)])
    }
}

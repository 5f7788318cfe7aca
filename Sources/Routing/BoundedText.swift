extension String {
    /// The text itself if it has at most `limit` bytes, otherwise as many of its whole Unicode scalars as fit.
    ///
    /// Counted in bytes, because a single `Character` can have any number of bytes.
    package func cut(toBytes limit: Int) -> String {
        // Most texts are short and are not copied.
        utf8.count <= limit ? self : String(self[..<utf8.index(startIndex, offsetBy: limit)])
    }
}

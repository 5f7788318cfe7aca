/// A place in a text; line and column count from 1, columns in Unicode scalars.
package struct TextPosition: Equatable, Sendable, Comparable {
    package var line: Int
    package var column: Int

    package init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }

    package static func < (left: TextPosition, right: TextPosition) -> Bool {
        (left.line, left.column) < (right.line, right.column)
    }
}

/// One thing that is wrong with a configuration.
package struct Problem: Equatable, Sendable {
    /// The file's path as the user gave it, or another source of the configuration.
    package var file: String

    /// Nil when the problem is not at one place, such as a file that is not there.
    package var position: TextPosition?

    /// The keys that lead to it: `servers.PC1.model-port`. Empty for the whole file.
    package var keyPath: String

    /// What is wrong.
    package var message: String

    /// What to do about it.
    package var hint: String?

    package init(
        file: String, position: TextPosition? = nil, keyPath: String = "", message: String, hint: String? = nil
    ) {
        self.file = file
        self.position = position
        self.keyPath = keyPath
        self.message = message
        self.hint = hint
    }
}

extension Problem: CustomStringConvertible {
    /// `FILE:LINE:COLUMN: error: keys: message; hint`
    package var description: String {
        var text = file
        if let position { text += ":\(position.line):\(position.column)" }
        text += ": error: "
        if !keyPath.isEmpty { text += "\(keyPath): " }
        text += message
        if let hint { text += "; \(hint)" }
        return text
    }
}

/// Everything that is wrong with a configuration, in the order of the file.
package struct Problems: Error, Equatable, Sendable {
    package let list: [Problem]

    /// Further files that the configuration names, as far as it could be read. A change of one may solve a problem.
    package let files: [String]

    package init(_ list: [Problem], files: [String] = []) {
        self.list = list
        self.files = files
    }
}

extension Problems: CustomStringConvertible {
    private static let mostShown = 50

    /// One line per problem; a very long list is cut, with the number of problems.
    package var description: String {
        var lines = list.prefix(Self.mostShown).map(\.description)
        if list.count > Self.mostShown { lines.append("… and \(list.count - Self.mostShown) more") }
        return lines.joined(separator: "\n")
    }
}

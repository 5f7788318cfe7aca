import Yams

/// Reads JSON or YAML into a tree that keeps the order of keys and the position of every value. JSON is read as YAML, of which
/// it is a subset: one parser, one kind of position.
enum ConfigurationFile {
    /// Larger files are refused; real files have some kilobytes.
    static let largestSize = 1 << 20

    /// The largest size of a file when its aliases are expanded, in bytes.
    static let largestExpandedSize = 16 << 20

    /// When more objects have repeated keys of different names, only the first such object is reported.
    static let mostObjectsWithRepeatedKeys = 20

    /// Deeper nesting is refused, and reported where it begins.
    static let deepestLevel = 64

    /// What could be read, and what is wrong with it as YAML.
    struct Content {
        var root: ConfigurationNode
        var problems: [Problem]
    }

    /// The content of the file.
    ///
    /// - Throws: the first problem that prevents reading it.
    static func parse(_ text: String, file: String) throws(Problems) -> Content {
        func refuse(_ message: String, at position: TextPosition? = nil, hint: String? = nil) -> Problems {
            Problems([Problem(file: file, position: position, message: message, hint: hint)])
        }
        guard text.utf8.count <= largestSize else { throw refuse("the file is larger than 1 MB") }
        guard expandedSize(of: text) <= Double(largestExpandedSize) else {
            throw refuse("the file's aliases (*name) stand for too much text", hint: "write the values out")
        }
        var reader = TreeReader(file: file)
        guard let root = try compose(text, file: file, marks: &reader.marks) else {
            throw refuse("the file is empty", at: TextPosition(line: 1, column: 1), hint: "it needs at least `servers`")
        }
        let tree = reader.node(root, depth: 0)
        return Content(root: tree, problems: reader.problems)
    }

    /// The parser's tree. Repeated keys get marks, which the parser takes for different names.
    private static func compose(_ text: String, file: String, marks: inout KeyMarks) throws(Problems) -> Node? {
        do {
            return try Yams.compose(yaml: text, .basic)
        } catch {
            let problem = Problems([syntaxProblem(error, text: text, file: file)])
            guard case .duplicatedKeysInMapping(var names, _)? = error as? YamlError else { throw problem }
            var text = text
            // Each round finds another object with repeated keys.
            for _ in 0..<mostObjectsWithRepeatedKeys {
                guard let marked = marks.mark(names, in: text) else { throw problem }
                text = marked
                do {
                    return try Yams.compose(yaml: text, .basic)
                } catch YamlError.duplicatedKeysInMapping(let more, _) {
                    names = more
                } catch {
                    // Marks move nothing, so the place of the next problem is right.
                    throw Problems(problem.list + [syntaxProblem(error, text: text, file: file)])
                }
            }
            throw problem
        }
    }

    /// An upper bound of what aliases can expand to: N anchors and A aliases multiply a text by at most (1 + A/N)^N.
    ///
    /// Counted on the raw text, because the parser itself walks the expanded tree when it looks for duplicate keys.
    static func expandedSize(of text: String) -> Double {
        var anchors = 0.0
        var aliases = 0.0
        var marker: UInt8?
        var previous = UInt8(ascii: " ")
        for byte in text.utf8 {
            // A marker begins a value, so it follows a space, a bracket, a comma or a colon; its name follows at once.
            if let found = marker, !" \n\r\t".utf8.contains(byte) {
                if found == UInt8(ascii: "&") { anchors += 1 } else { aliases += 1 }
            }
            let isMarker = (byte == UInt8(ascii: "&") || byte == UInt8(ascii: "*")) && " \n\r\t,[{:".utf8.contains(previous)
            marker = isMarker ? byte : nil
            previous = byte
        }
        guard anchors > 0, aliases > 0 else { return Double(text.utf8.count) }
        var size = Double(text.utf8.count)
        for _ in 0..<Int(anchors) where size <= Double(largestExpandedSize) { size *= 1 + aliases / anchors }
        return size
    }
}

/// Turns the parser's tree into ours.
private struct TreeReader {
    let file: String
    var marks = KeyMarks()
    var problems: [Problem] = []

    mutating func node(_ node: Node, depth: Int) -> ConfigurationNode {
        let position = node.mark.map(TextPosition.init) ?? TextPosition(line: 1, column: 1)
        guard depth <= ConfigurationFile.deepestLevel else {
            let message = "nested deeper than \(ConfigurationFile.deepestLevel) levels"
            problems.append(Problem(file: file, position: position, message: message))
            return ConfigurationNode(content: .reported, position: position)
        }
        return ConfigurationNode(content: content(node, depth: depth), position: position)
    }

    private mutating func content(_ node: Node, depth: Int) -> ConfigurationNode.Content {
        switch node {
        case .scalar(let scalar):
            let isQuoted = scalar.style != .plain
            if !isQuoted, ConfigurationNode.Scalar.isNull(scalar.string) { return .null }
            return .scalar(ConfigurationNode.Scalar(text: marks.restored(scalar.string), isQuoted: isQuoted))
        case .sequence(let items):
            return .list(items.map { self.node($0, depth: depth + 1) })
        case .mapping(let pairs):
            return .object(members(pairs.map { ($0.key, $0.value) }, depth: depth))
        case .alias:
            // The parser replaces an alias by the value of its anchor.
            return .reported
        }
    }

    private mutating func members(_ pairs: [(key: Node, value: Node)], depth: Int) -> [ConfigurationNode.Member] {
        var members: [ConfigurationNode.Member] = []
        var places: [String: TextPosition] = [:]
        for (key, value) in pairs {
            let position = key.mark.map(TextPosition.init) ?? TextPosition(line: 1, column: 1)
            guard case .scalar(let scalar) = key else {
                problems.append(Problem(file: file, position: position, message: "a key must be text"))
                continue
            }
            let name = marks.restored(scalar.string)
            let value = node(value, depth: depth + 1)
            if let first = places[name] {
                let message = "\"\(name)\" is already in this object, in line \(first.line), column \(first.column)"
                problems.append(Problem(file: file, position: position, message: message, hint: "remove one of them"))
                continue
            }
            places[name] = position
            members.append(ConfigurationNode.Member(name: name, namePosition: position, value: value))
        }
        return members
    }
}

// MARK: - What the parser says about broken files

extension TextPosition {
    fileprivate init(_ mark: Mark) {
        self.init(line: mark.line, column: mark.column)
    }
}

extension ConfigurationFile {
    private static func syntaxProblem(_ error: any Error, text: String, file: String) -> Problem {
        guard let error = error as? YamlError else { return Problem(file: file, message: "\(error)") }
        switch error {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _):
            return located(problem, context, mark, text: text, file: file)
        case .composer(_, let problem, let mark, _):
            let isSecond = problem.contains("another document")
            return Problem(
                file: file, position: TextPosition(mark),
                message: isSecond ? "a second document begins here" : problem,
                hint: isSecond ? "a configuration is one document; remove the line ---" : nil)
        case .reader(let problem, let offset, _, _):
            return Problem(file: file, position: offset.map { position(ofCharacter: $0, in: text) }, message: problem)
        case .duplicatedKeysInMapping(let names, let context):
            let list = names.map { "\"\($0)\"" }.joined(separator: ", ")
            return Problem(
                file: file, position: TextPosition(context.mark),
                message: "\(list) is written more than once in the same object; here for the first time")
        case .no, .memory, .writer, .emitter, .representer, .dataCouldNotBeDecoded:
            return Problem(file: file, message: error.description)
        }
    }

    private static func located(
        _ problem: String, _ context: YamlError.Context?, _ mark: Mark, text: String, file: String
    ) -> Problem {
        var message = problem
        if problem.hasPrefix("Maximum nesting level") {
            message = "nested too deep"
        } else if let context {
            message += " \(context.text)"
            if context.mark.line != mark.line { message += " that begins in line \(context.mark.line)" }
        }
        return Problem(
            file: file, position: TextPosition(mark), message: message, hint: hint(for: problem, mark, text: text))
    }

    /// Explanations for the most frequent mistakes.
    private static func hint(for problem: String, _ mark: Mark, text: String) -> String? {
        if problem.contains("cannot start any token"), character(at: mark, in: text) == "\t" {
            return "YAML is indented with spaces, not tabs"
        }
        if problem.contains("block sequence entries are not allowed") {
            return #"a lone hyphen needs quotes: "-""#
        }
        if problem.contains("unknown escape character") {
            return #"in double quotes a backslash is written \\; in YAML, single quotes leave it alone"#
        }
        if problem.contains("invalid Unicode character escape") {
            return #"write the character itself instead of \u escapes"#
        }
        return nil
    }

    private static func character(at mark: Mark, in text: String) -> Unicode.Scalar? {
        let lines = text.unicodeScalars.split(separator: "\n", maxSplits: mark.line, omittingEmptySubsequences: false)
        guard lines.indices.contains(mark.line - 1) else { return nil }
        return lines[mark.line - 1].dropFirst(mark.column - 1).first
    }

    private static func position(ofCharacter offset: Int, in text: String) -> TextPosition {
        let before = text.prefix(offset)
        let lastLine = before.reversed().prefix { !$0.isNewline }
        return TextPosition(line: before.count { $0.isNewline } + 1, column: lastLine.count + 1)
    }
}

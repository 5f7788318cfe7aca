/// One HTTP answer as a client received it.
struct HTTPAnswer: Sendable {
    struct Field: Sendable, Equatable {
        var name: String
        var value: String
    }

    var status = 0
    /// In the order and spelling in which they came.
    var fields: [Field] = []
    /// The content, without its framing.
    var body: [UInt8] = []
    /// The length was reached, the last chunk came, or there was none to wait for. False when the connection ended before.
    var isWhole = false
    /// The body was delimited by the connection's end alone.
    var isUntilClose = false

    var text: String { String(decoding: body, as: UTF8.self) }

    /// The value of the first field of that name, in any case.
    subscript(name: String) -> String? { values(of: name).first }

    func values(of name: String) -> [String] {
        fields.filter { $0.name.lowercased() == name.lowercased() }.map(\.value)
    }

    /// The `data:` lines of an event stream.
    var events: [String] {
        text.split(separator: "\n").filter { $0.hasPrefix("data: ") }.map { String($0.dropFirst(6)) }
    }
}

/// Takes answers out of received bytes.
enum AnswerParser {
    /// The answer at the beginning of `bytes` and how many of them it takes. Nil when more has to come; a connection that
    /// has ended gives what there is.
    static func parse(_ bytes: [UInt8], toHead: Bool, hasEnded: Bool) -> (answer: HTTPAnswer, length: Int)? {
        guard let headEnd = endOfHead(bytes) else { return nil }
        var answer = head(String(decoding: bytes[..<headEnd], as: UTF8.self))
        if (100..<200).contains(answer.status) || answer.status == 204 || answer.status == 304 || toHead {
            answer.isWhole = true
            return (answer, headEnd)
        }
        if answer["Transfer-Encoding"]?.lowercased() == "chunked" {
            let (content, end) = chunks(bytes, from: headEnd)
            guard end != nil || hasEnded else { return nil }
            answer.body = content
            answer.isWhole = end != nil
            return (answer, end ?? bytes.count)
        }
        if let length = answer["Content-Length"].flatMap({ Int($0) }) {
            let end = headEnd + length
            guard bytes.count >= end || hasEnded else { return nil }
            answer.body = Array(bytes[headEnd..<min(end, bytes.count)])
            answer.isWhole = bytes.count >= end
            return (answer, min(end, bytes.count))
        }
        guard hasEnded else { return nil }
        answer.body = Array(bytes[headEnd...])
        answer.isWhole = true
        answer.isUntilClose = true
        return (answer, bytes.count)
    }

    private static func endOfHead(_ bytes: [UInt8]) -> Int? {
        var index = 3
        while index < bytes.count {
            if bytes[index] == 10, bytes[index - 1] == 13, bytes[index - 2] == 10, bytes[index - 3] == 13 { return index + 1 }
            index += 1
        }
        return nil
    }

    private static func head(_ text: String) -> HTTPAnswer {
        var answer = HTTPAnswer()
        let lines = text.split(separator: "\r\n")
        answer.status = lines.first?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        answer.fields = lines.dropFirst().map { line in
            let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            return .init(name: String(parts[0]), value: String((parts.last ?? "").drop { $0 == " " }))
        }
        return answer
    }

    /// The content of a chunked body; `end` is nil when its last chunk has not come.
    private static func chunks(_ bytes: [UInt8], from start: Int) -> (content: [UInt8], end: Int?) {
        var content: [UInt8] = []
        var index = start
        while let lineEnd = endOfLine(bytes, from: index) {
            let line = String(decoding: bytes[index..<(lineEnd - 2)], as: UTF8.self)
            guard let size = Int(line.prefix { $0 != ";" }, radix: 16) else { return (content, nil) }
            if size == 0 { return (content, endOfTrailers(bytes, from: lineEnd)) }
            content += bytes[lineEnd..<min(lineEnd + size, bytes.count)]
            index = lineEnd + size + 2
        }
        return (content, nil)
    }

    private static func endOfTrailers(_ bytes: [UInt8], from start: Int) -> Int? {
        var index = start
        while let lineEnd = endOfLine(bytes, from: index) {
            if lineEnd == index + 2 { return lineEnd }
            index = lineEnd
        }
        return nil
    }

    /// The index after the next CR LF.
    private static func endOfLine(_ bytes: [UInt8], from start: Int) -> Int? {
        var index = start + 1
        while index < bytes.count {
            if bytes[index] == 10, bytes[index - 1] == 13 { return index + 1 }
            index += 1
        }
        return nil
    }
}

import Foundation
import Routing
import Simulation
import Wire

/// Reads requests from lines of the balancer's access log (`RequestRecord`).
struct AccessLogReader {
    /// Of a prompt or an answer, in tokens; more is a mistake.
    private static let mostTokens = 100_000_000
    /// Of a prompt. Boundaries behind it could not be told.
    private static let mostBytes = Int(UInt32.max)
    /// Of a client or a model, in bytes.
    private static let longestName = 4096
    /// What the log itself does not exceed (`LoggedChain`), and some more.
    private static let mostLinks = 1024

    private var read = RecordedRequests(.accessLog)

    mutating func take(_ bytes: [UInt8], line number: Int) throws(LineProblem) {
        let line: JSON
        do { line = try JSON(parsing: bytes) } catch {
            throw LineProblem(message: "not JSON: \(error); remove the line, or the part of the file that is no access log")
        }
        guard line["ending"] != nil, let status = line["status"]?.intValue else {
            throw LineProblem(
                message: "no line of an access log, unlike those before it: lacks \"ending\" or \"status\"; remove it")
        }
        // Other requests make no engine compute.
        guard line["prompt_bytes"] != nil else { return }
        guard (200..<300).contains(status) else { return read.unanswered += 1 }
        try read.add(try request(line), line: number)
    }

    func requests(of file: String) throws(RequestFileProblem) -> RecordedRequests {
        guard !read.requests.isEmpty else {
            throw RequestFileProblem(
                file: file, line: nil,
                message: read.unanswered > 0
                    ? "none of its requests was answered"
                    : "no line has \"prompt_bytes\": it has no requests for an answer, or comes from an earlier version; take a "
                        + "log of this version")
        }
        var sorted = read
        sorted.sort()
        return sorted
    }

    private func request(_ line: JSON) throws(LineProblem) -> RecordedRequest {
        guard let text = line["time"]?.stringValue, let time = Self.milliseconds(text) else {
            throw LineProblem(message: "\"time\" is not like 2026-11-28T20:15:07.250Z")
        }
        let length = try number("prompt_bytes", of: line, upTo: Self.mostBytes) ?? 0
        let last = try number("last_message_bytes", of: line, upTo: length) ?? length
        var prompt = PromptChain(length: length, lastMessageStart: length - last)
        prompt.links = try links(line, upTo: length)
        let computed = try number("prompt_tokens", of: line, upTo: Self.mostTokens)
        let cached = try number("cached_tokens", of: line, upTo: Self.mostTokens)
        let (session, user, address) = (try name("session", of: line), try name("user", of: line), try name("client", of: line))
        return RecordedRequest(
            milliseconds: time, client: session ?? user ?? address ?? "", model: try name("model", of: line) ?? "no model",
            prompt: prompt,
            promptTokens: computed.map { $0 + (cached ?? 0) },
            answerTokens: try number("output_tokens", of: line, upTo: Self.mostTokens) ?? 0,
            priority: try name("priority", of: line).flatMap(PriorityClass.init))
    }

    private static func milliseconds(_ text: String) -> Double? {
        let date = try? Date.ISO8601FormatStyle(includingFractionalSeconds: true).parse(text)
        return date.map { ($0.timeIntervalSince1970 * 1000).rounded() }
    }

    /// `END.HASH` at the end of a message, `END:HASH` inside one.
    private func links(_ line: JSON, upTo length: Int) throws(LineProblem) -> [PromptChain.Link] {
        guard let value = line["chain"] else { return [] }
        guard let text = value.stringValue else { throw LineProblem(message: "\"chain\" is no text") }
        var links: [PromptChain.Link] = []
        for part in text.split(separator: " ", maxSplits: Self.mostLinks) {
            guard links.count < Self.mostLinks else {
                throw LineProblem(message: "\"chain\" has more than \(Self.mostLinks) entries")
            }
            guard let mark = part.firstIndex(where: { $0 == "." || $0 == ":" }), let end = UInt32(part[..<mark]),
                let hash = Self.hash(part[part.index(after: mark)...])
            else { throw LineProblem(message: "\"chain\" has something else than entries like 6144.AbCd0123 and 8190:-_xyz789") }
            guard end <= length, end >= links.last?.end ?? 0 else {
                throw LineProblem(message: "\"chain\" has an entry for byte \(end), which is out of order or behind the prompt")
            }
            links.append(.init(hash: hash, end: end, endsMessage: part[mark] == "."))
        }
        return links
    }

    private static func hash(_ text: Substring) -> UInt64? {
        guard text.utf8.count == 8 else { return nil }
        var hash: UInt64 = 0
        for byte in text.utf8 {
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): digit = byte - UInt8(ascii: "A")
            case UInt8(ascii: "a")...UInt8(ascii: "z"): digit = byte - UInt8(ascii: "a") + 26
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0") + 52
            case UInt8(ascii: "-"): digit = 62
            case UInt8(ascii: "_"): digit = 63
            default: return nil
            }
            hash = hash << 6 | UInt64(digit)
        }
        return hash
    }

    /// Nil when the line does not have it.
    private func number(_ name: String, of line: JSON, upTo most: Int) throws(LineProblem) -> Int? {
        guard let value = line[name] else { return nil }
        guard let number = value.intValue, (0...most).contains(number) else {
            throw LineProblem(message: "\"\(name)\" is not a whole number from 0 to \(most)")
        }
        return number
    }

    private func name(_ name: String, of line: JSON) throws(LineProblem) -> String? {
        guard let value = line[name] else { return nil }
        guard let text = value.stringValue, text.utf8.count <= Self.longestName else {
            throw LineProblem(message: "\"\(name)\" is no text of at most \(Self.longestName) bytes")
        }
        return text
    }
}

import NIOCore
import NIOHTTP1
import Wire

/// A request that has arrived completely.
struct ReceivedRequest {
    let head: HTTPRequestHead
    let body: [UInt8]

    var method: String { head.method.rawValue }
    var path: String { String(head.uri.prefix { $0 != "?" }) }
    var query: String { String(head.uri.drop { $0 != "?" }.dropFirst()) }
    func field(_ name: String) -> String? { head.headers.first(name: name) }

    /// Body and head as the observations keep them.
    func observed(number: Int, connection: Int) -> Observations.Request {
        Observations.Request(
            number: number, connection: connection, method: method, target: head.uri,
            fields: head.headers.map { Observations.Request.Field(name: $0.name, value: $0.value) },
            body: body.count > Observations.Request.keptBodyBytes ? Array(body.prefix(Observations.Request.keptBodyBytes)) : body,
            bodyLength: body.count)
    }
}

/// What a JSON body asks an engine for, whichever API it is written for.
struct Asked {
    let json: JSON
    /// The model's name, if one is given.
    var model: String? { json["model"]?.stringValue }
    /// Whether the answer is to be streamed, if the body says so.
    var streams: Bool? { json["stream"]?.boolValue }
    var includesUsage: Bool { json["stream_options"]?["include_usage"]?.boolValue ?? false }

    /// Most tokens of the answer; nil when the body does not say, or says "no limit".
    var maxTokens: Int? {
        let limit =
            ["max_tokens", "max_completion_tokens", "max_output_tokens", "n_predict"].lazy.compactMap { json[$0]?.intValue }.first
            ?? json["options"]?["num_predict"]?.intValue
        return limit.flatMap { $0 >= 0 ? $0 : nil }
    }

    /// What the engine has to read, as JSON text: in the order of the prompt.
    var prompt: [UInt8] {
        Asked.promptMembers.reduce(into: []) { bytes, name in bytes += json[name]?.bytes ?? [] }
    }

    private static let promptMembers = [
        "tools", "system", "instructions", "messages", "prompt", "input", "input_prefix", "input_suffix", "content", "query",
        "documents",
    ]
}

/// One token is four bytes of prompt.
func tokenCount(ofBytes count: Int) -> Int { (count + 3) / 4 }

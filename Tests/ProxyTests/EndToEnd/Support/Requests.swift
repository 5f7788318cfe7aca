/// A request with a body; `Content-Length` unless the fields say how the body ends.
func post(_ target: String, _ body: String, fields: [String] = []) -> String {
    let isFramed = fields.contains { $0.lowercased().hasPrefix("transfer-encoding") }
    let framing = isFramed ? [] : ["Content-Length: \(body.utf8.count)"]
    return head("POST", target, fields + framing) + body
}

/// A request without a body.
func get(_ target: String, method: String = "GET", fields: [String] = []) -> String { head(method, target, fields) }

/// The lines of a request head.
func head(_ method: String, _ target: String, _ fields: [String], version: String = "1.1") -> String {
    (["\(method) \(target) HTTP/\(version)", "Host: balancer.example"] + fields).joined(separator: "\r\n") + "\r\n\r\n"
}

/// The body of a chat of one turn.
func chatBody(
    model: String = "m", stream: Bool = false, maxTokens: Int = 4, content: String = "hello", system: String? = nil
) -> String {
    let instruction = system.map { #"{"role":"system","content":"\#($0)"},"# } ?? ""
    return #"{"model":"\#(model)","stream":\#(stream),"max_tokens":\#(maxTokens),"#
        + #""messages":[\#(instruction){"role":"user","content":"\#(content)"}]}"#
}

/// A chat of one turn.
func chat(
    model: String = "m", stream: Bool = false, maxTokens: Int = 4, content: String = "hello", system: String? = nil,
    fault: String? = nil, fields: [String] = []
) -> String {
    post(
        "/v1/chat/completions",
        chatBody(model: model, stream: stream, maxTokens: maxTokens, content: content, system: system),
        fields: fields + (fault.map { ["X-Fake-Fault: \($0)"] } ?? []))
}

/// A request in chunked transfer coding, in chunks of those sizes, over and over; the body is ASCII.
func chunked(_ target: String, _ body: String, sizes: [Int], fields: [String] = []) -> String {
    var rest = Array(body.utf8)[...]
    var text = head("POST", target, fields + ["Transfer-Encoding: chunked"])
    var index = 0
    while !rest.isEmpty {
        let piece = rest.prefix(sizes[index % sizes.count])
        text += String(piece.count, radix: 16) + "\r\n" + String(decoding: piece, as: UTF8.self) + "\r\n"
        rest = rest.dropFirst(piece.count)
        index += 1
    }
    return text + "0\r\n\r\n"
}

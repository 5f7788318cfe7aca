import Wire

/// A body of a megabyte: a chat of messages with that text, which is already escaped.
private func body(of text: String) -> [UInt8] {
    var body = #"{"model":"bench-model","stream":true,"messages":["#
    let content = String(repeating: text, count: max(1, 2000 / text.utf8.count))
    var isFirst = true
    while body.utf8.count < 1_000_000 {
        body += (isFirst ? "" : ",") + #"{"role":"user","content":"\#(content)"}"#
        isFirst = false
    }
    return Array((body + "]}").utf8)
}

/// A conversation as a coding agent sends it: a system prompt, then turns of the user and of the assistant; `size` bytes of text with a
/// line break every 40 bytes.
private func conversation(size: Int) -> [UInt8] {
    let line = #"    let total = values.reduce(0) + 12;\n"#
    let turn = String(repeating: line, count: max(1, min(size / 4, 4000) / line.utf8.count))
    var body = #"{"model":"bench-model","messages":[{"role":"system","content":"\#(turn)"}"#
    var role = "user"
    while body.utf8.count < size {
        body += #",{"role":"\#(role)","content":"\#(turn)"}"#
        role = role == "user" ? "assistant" : "user"
    }
    return Array((body + #"],"stream":true}"#).utf8)
}

func measureScanning() {
    measureBodies()
    for (name, size, calls) in [("1 KB", 1000, 1000), ("400 KB", 400_000, 10)] {
        let bytes = conversation(size: size)
        var scanner = RequestScanner()
        let time = nanoseconds(rounds: 200, calls: calls) {
            scanner.reset()
            scanner.feed(bytes.span.bytes)
            use(try? scanner.finish())
            var last: UInt64 = 0
            scanner.prompt?.forEachLink { hash, _, _ in last = hash }
            use(last)
        }
        report("scan of a \(name) conversation with its prompt's chain", time / 1000, "µs")
    }
}

/// The throughput for long bodies of several kinds of text.
private func measureBodies() {
    let texts = [
        ("plain text", "The quick brown fox jumps over the lazy dog. "),
        ("text with escapes", #"The quick brown fox jumps over the lazy dog. She said \"hello\".\n"#),
        ("source code", #"    for (index, value) in values.enumerated() {\n        total += value * \"x\".count\n    }\n"#),
        ("Japanese", "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"),
        ("Japanese as \\u escapes", #"\u543e\u8f29\u306f\u732b\u3067\u3042\u308b\u3002"#),
    ]
    for (name, text) in texts {
        let bytes = body(of: text)
        var scanner = RequestScanner()
        let time = nanoseconds(calls: 5) {
            scanner.reset()
            scanner.feed(bytes.span.bytes)
        }
        guard (try? scanner.finish())?.model == "bench-model" else { fail("parts: the scanner did not find the model") }
        report("scan of a 1 MB chat, \(name)", Double(bytes.count) / time, "GB/s")
    }
}

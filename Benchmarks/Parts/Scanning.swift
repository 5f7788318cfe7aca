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

func measureScanning() {
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

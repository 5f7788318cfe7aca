import Wire

// Results that are computed without generating text: small, but always the same for the same input.

func embeddings(_ asked: Asked, _ generation: Generation) -> JSON {
    let vectors = inputs(asked.json["input"]).enumerated().map { index, text -> JSON in
        ["object": "embedding", "embedding": vector(text), "index": JSON(index)]
    }
    return [
        "model": .string(generation.model), "object": "list", "usage": promptUsage(generation), "data": .array(vectors),
    ]
}

/// llama-server's own `/embedding`.
func nativeEmbedding(_ asked: Asked, _ generation: Generation) -> JSON {
    .array(
        inputs(asked.json["input"] ?? asked.json["content"]).enumerated().map { index, text in
            ["index": JSON(index), "embedding": [vector(text)]]
        })
}

func ollamaEmbed(_ asked: Asked, _ generation: Generation) -> JSON {
    [
        "model": .string(generation.model), "embeddings": .array(inputs(asked.json["input"]).map(vector)),
        "total_duration": JSON(generation.prefillNanoseconds), "load_duration": 0,
        "prompt_eval_count": JSON(generation.promptTokens),
    ]
}

func ollamaEmbeddings(_ asked: Asked, _ generation: Generation) -> JSON {
    ["embedding": vector(asked.json["prompt"]?.stringValue ?? "")]
}

/// The score of a document is the share of the query's words that it has.
func rerank(_ asked: Asked, _ generation: Generation) -> JSON {
    let query = Set((asked.json["query"]?.stringValue ?? "").split(separator: " "))
    let scored = inputs(asked.json["documents"]).enumerated().map { index, text in
        (index: index, score: Double(query.intersection(text.split(separator: " ")).count) / Double(max(1, query.count)))
    }
    let results = scored.sorted { ($0.score, $1.index) > ($1.score, $0.index) }.map { result -> JSON in
        ["index": JSON(result.index), "relevance_score": JSON(result.score)]
    }
    return [
        "model": .string(generation.model), "object": "list", "usage": promptUsage(generation), "results": .array(results),
    ]
}

/// A token is the number that four bytes of text make.
func tokenize(_ text: String) -> JSON {
    let bytes = Array(text.utf8)
    let tokens = stride(from: 0, to: bytes.count, by: 4).map { start in
        JSON(bytes[start..<min(start + 4, bytes.count)].reduce(0) { $0 << 8 | Int($1) })
    }
    return ["tokens": .array(tokens)]
}

func detokenize(_ tokens: [JSON]) -> JSON {
    let bytes = tokens.compactMap(\.intValue).flatMap { token in
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: token >> $0) }.drop { $0 == 0 }
    }
    return ["content": .string(String(decoding: bytes, as: UTF8.self))]
}

/// The template that many small models use.
func applyTemplate(_ messages: [JSON]) -> JSON {
    let turns = messages.map { message in
        let content = message["content"]?.stringValue ?? message["content"]?.text ?? ""
        return "<|im_start|>\(message["role"]?.stringValue ?? "user")\n\(content)<|im_end|>\n"
    }
    return ["prompt": .string(turns.joined() + "<|im_start|>assistant\n")]
}

/// The text of a form field in a multipart body.
func multipartField(_ name: String, in body: [UInt8]) -> String? {
    let lines = String(decoding: body, as: UTF8.self).split(separator: "\r\n", omittingEmptySubsequences: false)
    guard let header = lines.firstIndex(where: { $0.contains("name=\"\(name)\"") }),
        let blank = lines[header...].firstIndex(where: \.isEmpty), blank + 1 < lines.count
    else { return nil }
    return String(lines[blank + 1])
}

private func inputs(_ json: JSON?) -> [String] {
    guard let json else { return [] }
    guard let items = json.arrayValue else { return [json.stringValue ?? json.text] }
    return items.map { $0.stringValue ?? $0.text }
}

private func vector(_ text: String) -> JSON {
    var generator = SeededGenerator(seed: text.utf8.reduce(14_695_981_039_346_656_037) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 })
    return .array((0..<8).map { _ in JSON(Double.random(in: -1...1, using: &generator)) })
}

private func promptUsage(_ generation: Generation) -> JSON {
    ["prompt_tokens": JSON(generation.promptTokens), "total_tokens": JSON(generation.promptTokens)]
}

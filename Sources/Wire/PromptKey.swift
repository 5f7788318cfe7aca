/// What a key inside a message says about its value.
enum PromptKey: UInt8, Sendable {
    /// Unknown: the key itself counts as well.
    case other
    /// Its strings are text.
    case text
    case role
    /// Objects under it are read as JSON: a key that we know may mean something else there.
    case arguments
    /// Not seen by the model, or different in every request.
    case skipped
    /// Pictures and sounds, or what holds them.
    case imageURL, source, images, audio
    /// What they hold.
    case url, data

    init(_ key: Bytes) {
        switch key.count {
        case 2 where key.equals("id"): self = .skipped
        case 3 where key.equals("url"): self = .url
        case 4 where key.equals("role"): self = .role
        case 4 where key.equals("text"): self = .text
        case 4 where key.equals("type"): self = .skipped
        case 4 where key.equals("name"): self = .text
        case 4 where key.equals("data"): self = .data
        case 5 where key.equals("input"): self = .arguments
        case 5 where key.equals("parts"): self = .text
        case 5 where key.equals("index"): self = .skipped
        case 5 where key.equals("audio"): self = .skipped
        case 6 where key.equals("output"): self = .text
        case 6 where key.equals("source"): self = .source
        case 6 where key.equals("images"): self = .images
        case 6 where key.equals("status"): self = .skipped
        case 6 where key.equals("detail"): self = .skipped
        case 6 where key.equals("format"): self = .skipped
        case 7 where key.equals("content"): self = .text
        case 7 where key.equals("call_id"): self = .skipped
        case 7 where key.equals("refusal"): self = .skipped
        case 8 where key.equals("function"): self = .text
        case 8 where key.equals("thinking"): self = .text
        case 8 where key.equals("logprobs"): self = .skipped
        case 9 where key.equals("arguments"): self = .arguments
        case 9 where key.equals("reasoning"): self = .text
        case 9 where key.equals("image_url"): self = .imageURL
        case 9 where key.equals("tool_name"): self = .text
        case 9 where key.equals("signature"): self = .skipped
        case 10 where key.equals("tool_calls"): self = .text
        case 10 where key.equals("media_type"): self = .skipped
        case 11 where key.equals("tool_use_id"): self = .skipped
        case 11 where key.equals("annotations"): self = .skipped
        case 11 where key.equals("input_audio"): self = .audio
        case 12 where key.equals("tool_call_id"): self = .skipped
        case 13 where key.equals("cache_control"): self = .skipped
        case 13 where key.equals("function_call"): self = .text
        case 13 where key.equals("prompt_string"): self = .text
        case 15 where key.equals("multimodal_data"): self = .images
        case 17 where key.equals("reasoning_content"): self = .text
        default: self = .other
        }
    }

    /// Whether strings below it may be pictures or sounds.
    var isHolder: Bool {
        switch self {
        case .imageURL, .source, .images, .audio: true
        case .other, .text, .role, .arguments, .skipped, .url, .data: false
        }
    }
}

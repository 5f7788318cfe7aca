import Testing
import Wire

@Suite("An error that says that the prompt is too long")
struct ContextErrorTests {
    @Test(
        "is known by the words of each engine",
        arguments: [
            #"{"error":{"code":400,"message":"request (40 tokens) exceeds the available context size (32 tokens), try increasing it","#
                + #""type":"exceed_context_size_error","n_prompt_tokens":40,"n_ctx":32}}"#,
            #"{"error":{"message":"This model's maximum context length is 4096 tokens. However, you requested 5000 tokens","#
                + #""type":"BadRequestError","param":null,"code":400}}"#,
            #"{"error":{"message":"too long","type":"invalid_request_error","code":"context_length_exceeded"}}"#,
            #"{"object":"error","message":"The input (50 tokens) is longer than the model's context length (32 tokens)."}"#,
        ])
    func isTold(text: String) { #expect(ContextError.isTold(by: Array(text.utf8))) }

    @Test(
        "is not any other error",
        arguments: ["", "context", "context siz", #"{"error":{"message":"Invalid 'messages'","type":"invalid_request_error"}}"#])
    func isAnother(text: String) { #expect(!ContextError.isTold(by: Array(text.utf8))) }
}

import Proxy
import Routing
import Testing
import Wire

@testable import Control

@Suite("How much an engine's prompt cache holds", .timeLimit(.minutes(2))) struct PromptCacheSizeTests {
    private static func vllm(_ labels: String) -> String {
        """
        # HELP vllm:cache_config_info Information of the LLMEngine CacheConfig
        # TYPE vllm:cache_config_info gauge
        vllm:cache_config_info{\(labels)} 1.0
        # TYPE vllm:num_requests_running gauge
        vllm:num_requests_running{engine="0",model_name="m"} 0.0
        """
    }

    @Test(
        "vLLM tells it in its metrics, as tokens or as blocks",
        arguments: [
            (#"block_size="16",cache_dtype="auto",enable_prefix_caching="True",num_gpu_blocks="24188""#, 387_008),
            (#"num_gpu_blocks="24188",num_gpu_blocks_override="None",block_size="16""#, 387_008),
            (#"block_size="4",kv_cache_size_tokens="500000",num_gpu_blocks="24188""#, 500_000),
            (#"block_size="4",kv_cache_size_tokens="None",num_gpu_blocks="24188""#, 96_752),
            (#"block_size="16",enable_prefix_caching="False",num_gpu_blocks="24188""#, 0),
            (#"block_size="16",enable_prefix_caching="None",num_gpu_blocks="10""#, 160),
            (#"block_size="16",num_gpu_blocks="None""#, nil), (#"block_size="16",mamba_num_gpu_blocks="5""#, nil),
            (#"block_size="-16",num_gpu_blocks="-5""#, nil), (#"block_size="16",num_gpu_blocks="0""#, nil),
            (#"block_size="9000000000",num_gpu_blocks="9000000000""#, nil), ("", nil), (#"num_gpu_blocks="5"#, nil),
        ] as [(String, Int?)])
    func metrics(labels: String, tokens: Int?) {
        #expect(EngineReports.promptCacheTokens(Array(Self.vllm(labels).utf8), of: .vllm) == tokens)
    }

    @Test(
        "SGLang tells it beside its arguments",
        arguments: [
            (#"{"max_total_num_tokens":441532,"disable_radix_cache":false,"api_key":"s"}"#, 441_532),
            (#"{"max_total_num_tokens":441532,"disable_radix_cache":true}"#, 0), (#"{"max_total_num_tokens":-1}"#, nil),
            ("{}", nil), ("", nil), ("[", nil),
        ] as [(String, Int?)])
    func serverInfo(text: String, tokens: Int?) {
        #expect(EngineReports.promptCacheTokens(Array(text.utf8), of: .sglang) == tokens)
    }

    @Test("the router learns it, and the engine is asked once until it has failed", arguments: [EngineKind.vllm, .sglang])
    func told(kind: EngineKind) async throws {
        let fixture = try #require(EngineFixture.pythonEngines.first { $0.kind == kind })
        let page = try #require(EngineReports.promptCachePage(of: kind))
        var documents = fixture.documents
        documents[page] = .init(body: Self.page(of: kind, tokens: 160_000))
        try await withDocuments(documents, kind: kind) { server, fleet in
            let tokens = { () -> Set<Int?> in
                Set(fleet.monitor.catalog.models(leavingOut: []).all.map(\.listed.cacheTokens))
            }
            try await wait(for: "its size", tokens) { $0 == [160_000] }
            try await fleet.server("A", is: "up") { $0.isUp }
            #expect(server.asked.count { $0 == page } == 1)
            server.set(page, .init(body: Self.page(of: kind, tokens: 320_000)))
            for path in ["/health", "/v1/models"] { server.set(path, .init(status: 500)) }
            try await fleet.server("A", is: "failing") { !$0.isUp }
            for path in ["/health", "/v1/models"] { server.set(path, documents[path] ?? .init()) }
            try await wait(for: "the size of the engine that was started again", tokens) { $0 == [320_000] }
        }
    }

    private static func page(of kind: EngineKind, tokens: Int) -> String {
        kind == .sglang
            ? #"{"max_total_num_tokens":\#(tokens)}"# : vllm(#"block_size="16",num_gpu_blocks="\#(tokens / 16)""#)
    }
}

import Proxy
import Testing
import Wire

/// Every path that is not simply passed on.
@Suite("Routes")
struct RoutesTests {
    static let chatPaths = ["/v1/chat/completions", "/chat/completions"]

    static let computingPaths = [
        "/v1/completions", "/completions", "/v1/responses", "/responses", "/v1/embeddings", "/embeddings", "/v1/rerank",
        "/rerank", "/v1/messages", "/messages", "/completion", "/infill", "/embedding", "/reranking", "/v1/reranking",
        "/api/chat", "/api/generate", "/api/embed", "/api/embeddings",
    ]

    static let lightPaths = [
        "/v1/messages/count_tokens", "/messages/count_tokens", "/tokenize", "/detokenize", "/apply-template", "/api/show",
    ]

    static let formPaths = [
        "/v1/audio/transcriptions", "/v1/audio/translations", "/v1/audio/speech", "/audio/transcriptions",
        "/v1/images/generations", "/v1/images/edits", "/images/generations",
    ]

    static let ownPaths = [
        "/llmhealth", "/llmhealth-snapshot", "/llmhealth-monitor", "/llmhealth-monitor/dashboard.js", "/access-log-stats",
        "/v1/models", "/health", "/metrics", "/favicon.ico",
    ]

    @Test("chats are routed by model, count, and know model rules", arguments: chatPaths)
    func chats(path: String) {
        #expect(Routes.kind(method: "POST", target: path) == .model(counts: true, isChat: true))
    }

    @Test("what makes an engine compute is routed by model and counts", arguments: computingPaths)
    func computing(path: String) {
        #expect(Routes.kind(method: "POST", target: path) == .model(counts: true, isChat: false))
    }

    @Test("what is light is routed by model and does not count", arguments: lightPaths)
    func light(path: String) {
        #expect(Routes.kind(method: "POST", target: path) == .model(counts: false, isChat: false))
    }

    @Test("audio and images are routed by a form field", arguments: formPaths)
    func forms(path: String) { #expect(Routes.kind(method: "POST", target: path) == .multipart) }

    @Test("own pages are answered here", arguments: ownPaths)
    func own(path: String) {
        #expect(Routes.kind(method: "GET", target: path) == .own)
        #expect(Routes.kind(method: "HEAD", target: path) == .own)
        #expect(Routes.kind(method: "POST", target: path) == .passed)
    }

    @Test("everything under /admin is ours, whatever the method", arguments: ["GET", "POST", "DELETE", "PUT", "OPTIONS"])
    func admin(method: String) {
        for path in ["/admin", "/admin/requests", "/admin/requests/ID", "/admin/servers/A/drain", "/admin/reload", "/admin/no"] {
            #expect(Routes.kind(method: method, target: path) == .own, "\(path)")
        }
        #expect(Routes.kind(method: method, target: "/administration") == .passed)
    }

    @Test(
        "a slash at the end and a query do not matter",
        arguments: chatPaths + computingPaths + lightPaths + formPaths)
    func decorations(path: String) {
        let plain = Routes.kind(method: "POST", target: path)
        for target in [path + "/", path + "//", path + "?a=b", path + "/?a=/b/", path + "?"] {
            #expect(Routes.kind(method: "POST", target: target) == plain, "\(target)")
        }
    }

    @Test("a query is no path", arguments: ["/other?/v1/chat/completions", "/?x=/v1/models"])
    func queryIsNoPath(target: String) {
        #expect(Routes.kind(method: "POST", target: target) == .passed)
        #expect(Routes.kind(method: "GET", target: target) == .passed)
    }

    @Test(
        "all other requests go to the fallback server",
        arguments: [
            ("GET", "/"), ("GET", "/v1/chat/completions"), ("PUT", "/v1/completions"), ("POST", "/"), ("GET", "/props"),
            ("GET", "/slots"), ("POST", "/api/tags"), ("GET", "/v1/models/m"), ("POST", "/v1/chat/completionsX"),
            ("POST", "/V1/chat/completions"), ("POST", "/x/v1/chat/completions"), ("OPTIONS", "/v1/chat/completions"),
            ("OPTIONS", "*"), ("POST", "/api/pull"), ("DELETE", "/api/delete"), ("GET", "/healthz"), ("GET", "/upstreams"),
            ("POST", "/v1"),
        ])
    func passed(method: String, target: String) {
        #expect(Routes.kind(method: method, target: target) == .passed)
    }

    @Test(
        "a model may be named by the target",
        arguments: [
            ("GET", "/v1/models/m", "m"), ("DELETE", "/v1/models/m/", "m"), ("GET", "/v1/models/org/m%3A7b?x=1", "org/m:7b"),
            ("GET", "/props?model=m", "m"), ("POST", "/x?a=b&model=gpt-oss%3A20b", "gpt-oss:20b"),
            ("GET", "/v1/realtime?model=m&x", "m"), ("GET", "/props", nil), ("GET", "/props?model=", nil),
            ("GET", "/props?mymodel=m", nil), ("POST", "/v1/models/m", nil), ("GET", "/v1/models/", nil),
            ("GET", "/model=m", nil),
        ])
    func namedModel(method: String, target: String, model: String?) {
        #expect(Routes.namedModel(method: method, target: target) == model)
    }

    @Test("unknown requests that name a model compute, unless their last word says that they do not")
    func computes() {
        for path in ["/v1/score", "/classify", "/v2/rerank", "/generate", "/v1/chat/completions/batch", "/x", "/", "/load/x"] {
            #expect(Routes.computes(method: "POST", path: path), "\(path)")
            #expect(!Routes.computes(method: "GET", path: path), "\(path)")
        }
        for path in [
            "/v1/responses/input_tokens", "/v1/completions/render", "/models/load", "/models/unload", "/api/pull", "/props",
        ] {
            #expect(!Routes.computes(method: "POST", path: path), "\(path)")
        }
        #expect(Routes.computes(method: "GET", path: "/v1/realtime"), "a tunnel")
    }

    @Test(
        "/upstream/NAME/rest names the server and where the rest begins",
        arguments: [
            ("/upstream/PC1/slots", "PC1", "/slots"), ("/upstream/PC1/", "PC1", "/"), ("/upstream/PC1", "PC1", ""),
            ("/upstream/PC1?x=1", "PC1", "?x=1"), ("/upstream/PC1/a/b?c=/d", "PC1", "/a/b?c=/d"),
            ("/upstream/my%20pc/x", "my pc", "/x"), ("/upstream/127.0.0.1:8080/x", "127.0.0.1:8080", "/x"),
            ("/upstream/%E6%9C%BA/x", "机", "/x"), ("/upstream/100%/x", "100%", "/x"),
        ])
    func upstream(target: String, name: String, rest: String) {
        guard case .upstream(let found, let restStart) = Routes.kind(method: "GET", target: target) else {
            Issue.record("\(target) is not taken as an /upstream/ path")
            return
        }
        #expect(found == name)
        #expect(String(decoding: target.utf8.dropFirst(restStart), as: UTF8.self) == rest)
    }

    @Test(
        "without a name /upstream/ is ours, and leads nowhere",
        arguments: ["/upstream", "/upstream/", "/upstream//slots", "/upstream/?x"])
    func upstreamWithoutName(target: String) {
        #expect(Routes.kind(method: "GET", target: target) == .own)
    }

    @Test("the path decides the shape of errors")
    func dialects() {
        let expected: [(String, APIDialect)] = [
            ("/v1/messages", .anthropic), ("/v1/messages/count_tokens", .anthropic), ("/messages?beta=true", .anthropic),
            ("/api/chat", .ollama), ("/api/generate/", .ollama), ("/v1/chat/completions", .openAI), ("/completion", .openAI),
            ("/", .openAI), ("/upstream/A/api/chat", .openAI),
        ]
        for (target, dialect) in expected { #expect(Routes.dialect(target: target) == dialect, "\(target)") }
    }
}

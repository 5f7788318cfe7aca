import Routing

/// What a key may be used for (`keys[].paths`), in groups of paths.
package enum PathGroup: String, Sendable, CaseIterable {
    /// Chats, completions, responses, and what goes with them: tokens, templates, files, batches.
    case chat
    /// Embeddings, reranking, classification.
    case embeddings
    case audio
    /// Images and videos.
    case images
    /// Whatever an administrator may do, as `admin: true`.
    case admin
    /// `/metrics`
    case metrics
    /// The balancer's page, snapshot, statistics and metrics, and what `/admin/` answers to GET.
    case readOnly = "read-only"

    /// The group of a path of the engines' APIs.
    init(apiPath path: String) {
        let short = Routes.withoutVersion(path)
        let name = short.split(separator: "/").first { $0 != "api" }
        self =
            switch name {
            case "embeddings", "embedding", "embed", "rerank", "reranking", "score", "classify", "pooling", "moderations":
                .embeddings
            case "audio": .audio
            case "images", "videos": .images
            default: .chat
            }
    }
}

/// The paths of the engines' APIs, which a client's key is good for.
///
/// Engines have many others, with which they are managed (`/api/delete`, `/models/unload`, `/flush_cache`), and some that show what other
/// clients do (`/slots`, llama-swap's `/logs`). Nobody can list them all, so it is the others that are listed, and whatever is not here
/// needs an administrator's key.
extension Routes {
    /// - Parameter path: of a request that is `RouteKind.passed`: not routed by its path alone.
    static func isAPI(path: String, isRead: Bool) -> Bool {
        guard !hasDotSegments(path) else { return false }
        let short = withoutVersion(path)
        if path.hasPrefix("/v1/models/") || short == "/props" || short == "/version" { return isRead }
        return families.contains { short == $0 || short.hasPrefix($0) && short.dropFirst($0.count).first == "/" }
    }

    /// With everything below them.
    private static let families = [
        "/chat/completions", "/completions", "/responses", "/conversations", "/messages", "/embeddings", "/rerank", "/reranking",
        "/score", "/classify", "/pooling", "/moderations", "/audio", "/images", "/videos", "/files", "/batches", "/stream",
        "/streams", "/realtime", "/tokenize", "/detokenize", "/apply-template", "/infill",
    ]

    /// Whether the target's query may name a model, in whatever way its name is written.
    static func mayNameModel(query target: String) -> Bool {
        guard target.utf8.contains(UInt8(ascii: "?")) else { return false }
        return target.drop { $0 != "?" }.dropFirst().split { "&;".contains($0) }.contains { parameter in
            percentDecoded(parameter.prefix { $0 != "=" }).lowercased().contains("model")
        }
    }
}

import Routing
import Testing

@testable import Control

/// What one engine answers to `GET`, and what has to be known of it by these answers.
///
/// Each document is the engine's own: recorded, or as the source builds it that the comment names (project, version or commit,
/// file, function). Names, times and numbers are examples. Left out: chat templates, sampling parameters, and paths that the
/// engine answers with 404.
struct EngineFixture: Sendable, CustomTestStringConvertible {
    var name: String
    var kind: EngineKind
    /// Every model that it lists, and whether that is in memory.
    var residencies: [String: ListedModel.Residency?]
    /// Those of them that it cannot be asked for.
    var unavailable: Set<String>
    /// Whether a stream goes on there without its client (`X-Conversation-Id`).
    var resumesStreams: Bool
    var documents: [String: DocumentServer.Document]

    var testDescription: String { name }

    init(
        _ name: String, _ kind: EngineKind, _ residencies: [String: ListedModel.Residency?], unavailable: Set<String> = [],
        resumesStreams: Bool? = nil, server: String? = nil, _ documents: [String: DocumentServer.Document]
    ) {
        self.name = name
        self.kind = kind
        self.residencies = residencies
        self.unavailable = unavailable
        self.resumesStreams = resumesStreams ?? (kind == .llamaServer)
        self.documents = documents.mapValues { document in
            var document = document
            document.server = server
            return document
        }
    }

    static let all = llamaServers + ollamas + lmStudios + llamaSwaps + pythonEngines + others
}

/// A document that is answered with 200.
extension DocumentServer.Document: ExpressibleByStringLiteral {
    init(stringLiteral body: String) { self.init(body: body) }
}

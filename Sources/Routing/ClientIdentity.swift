/// Who asks: whose prompt cache and whose turn in the line it is. From the most telling to the least.
package struct ClientIdentity: Sendable, Equatable {
    enum Source: Sendable, Equatable {
        /// The user's name, found in a system message.
        case username
        case session(SessionField)
        /// `prompt_cache_key` in the request's body.
        case promptCacheKey
        /// The name of the API key.
        case key
        /// Nothing else is known.
        case address
    }

    /// Header fields in which clients name their sessions; the first one that is there counts.
    package enum SessionField: String, Sendable, CaseIterable {
        case sessionID = "X-Session-Id"
        case conversationID = "X-Conversation-Id"
        case claudeCode = "x-claude-code-session-id"
        /// Codex and OpenCode.
        case codexSession = "session_id"
        case codexThread = "thread-id"
    }

    /// `allCases` makes a new array for every request.
    private static let sessionFields = SessionField.allCases

    /// Longer names are cut: they come from clients and are kept in memory.
    package static let longestName = 256

    package let name: String
    let source: Source

    /// - Parameters:
    ///   - username: found by `sticky.username-pattern`.
    ///   - sessionField: a header field's value. Asked for one after the other, and only when there is no user's name.
    ///   - keyName: of the API key that let the request in.
    package init(
        username: String?, sessionField: (SessionField) -> String?, promptCacheKey: String?, keyName: String? = nil,
        address: String
    ) {
        if let username, !username.isEmpty {
            (name, source) = (username.cut(toBytes: Self.longestName), .username)
            return
        }
        for field in Self.sessionFields {
            if let value = sessionField(field), !value.isEmpty {
                (name, source) = (value.cut(toBytes: Self.longestName), .session(field))
                return
            }
        }
        if let promptCacheKey, !promptCacheKey.isEmpty {
            (name, source) = (promptCacheKey.cut(toBytes: Self.longestName), .promptCacheKey)
        } else if let keyName, !keyName.isEmpty {
            (name, source) = (keyName.cut(toBytes: Self.longestName), .key)
        } else {
            (name, source) = (address, .address)
        }
    }
}

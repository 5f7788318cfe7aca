/// Identifies a client, for its prompt cache and for its turn in the waiting line. The most specific source that is known is
/// used.
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

    /// Header fields in which clients name their sessions. The first field that is present is used.
    package enum SessionField: String, Sendable, CaseIterable {
        case sessionID = "X-Session-Id"
        case conversationID = "X-Conversation-Id"
        case claudeCode = "x-claude-code-session-id"
        /// Codex and OpenCode.
        case codexSession = "session_id"
        case codexThread = "thread-id"
    }

    /// Stored, because `allCases` makes a new array on each call.
    private static let sessionFields = SessionField.allCases

    /// Longer names are cut, because they come from clients and are kept in memory.
    package static let longestName = 256

    package let name: String
    let source: Source

    /// - Parameters:
    ///   - username: found by `sticky.username-pattern`.
    ///   - sessionField: returns a header field's value. Called for one field after the other, and only when there is no user
    ///     name.
    ///   - keyName: the name of the API key that the request was authorised with.
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

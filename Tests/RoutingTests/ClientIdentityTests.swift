import Testing

@testable import Routing

@Suite("The client's identity")
struct ClientIdentityTests {
    private func identity(
        username: String? = nil, fields: [String: String] = [:], promptCacheKey: String? = nil, keyName: String? = nil
    ) -> ClientIdentity {
        ClientIdentity(
            username: username, sessionField: { fields[$0.rawValue] }, promptCacheKey: promptCacheKey, keyName: keyName,
            address: "10.0.0.1")
    }

    @Test("is the user's name, else a session that the client names, else its cache key, its API key, its address")
    func order() {
        let fields = Dictionary(
            uniqueKeysWithValues: ClientIdentity.SessionField.allCases.map { ($0.rawValue, "by \($0.rawValue)") })
        var left = fields
        #expect(identity(username: "Ana", fields: fields, promptCacheKey: "k", keyName: "key").name == "Ana")
        #expect(identity(username: "Ana", fields: fields).source == .username)
        for name in ["X-Session-Id", "X-Conversation-Id", "x-claude-code-session-id", "session_id", "thread-id"] {
            let found = identity(fields: left, promptCacheKey: "k", keyName: "key")
            #expect(found.name == "by \(name)")
            #expect(ClientIdentity.SessionField(rawValue: name).map { found.source == .session($0) } == true)
            left[name] = nil
        }
        #expect(left.isEmpty)
        #expect(identity(promptCacheKey: "k", keyName: "key").name == "k")
        #expect(identity(promptCacheKey: "k").source == .promptCacheKey)
        #expect(identity(keyName: "key").name == "key")
        #expect(identity(keyName: "key").source == .key)
        #expect(identity().name == "10.0.0.1")
        #expect(identity().source == .address)
    }

    @Test("passes over what is empty")
    func empty() {
        let fields = ["X-Session-Id": "", "thread-id": "t"]
        #expect(identity(username: "", fields: fields).name == "t")
        #expect(identity(username: "", fields: ["session_id": ""], promptCacheKey: "", keyName: "").source == .address)
    }

    @Test("does not ask for header fields when it knows the user's name")
    func lazy() {
        var asked = 0
        func value(_ field: ClientIdentity.SessionField) -> String? {
            asked += 1
            return field == .conversationID ? "c" : nil
        }
        _ = ClientIdentity(username: "Ana", sessionField: value, promptCacheKey: nil, address: "a")
        #expect(asked == 0)
        _ = ClientIdentity(username: nil, sessionField: value, promptCacheKey: nil, address: "a")
        #expect(asked == 2)
    }

    @Test(
        "cuts names that have too many bytes, at a scalar",
        arguments: [
            (String(repeating: "長", count: 1000), String(repeating: "長", count: 85)),
            // One character, however long.
            ("a" + String(repeating: "\u{301}", count: 28_000), "a" + String(repeating: "\u{301}", count: 127)),
        ])
    func long(text: String, cut: String) {
        let names = [
            identity(username: text), identity(fields: ["session_id": text]), identity(promptCacheKey: text),
            identity(keyName: text), identity(username: cut),
        ]
        for identity in names { #expect(identity.name.unicodeScalars.elementsEqual(cut.unicodeScalars)) }
    }
}

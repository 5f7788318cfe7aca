import NIOCore
import Routing
import Testing
import Wire

@testable import Proxy

@Suite("Keys of clients")
struct KeyRingTests {
    private func key(_ name: String, _ text: String) -> ClientKey { ClientKey(name: name, digest: KeyDigest(of: text.utf8)) }

    @Test(
        "a digest is the SHA-256 of FIPS 180-4",
        arguments: [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
            ),
        ])
    func vectors(text: String, digest: String) {
        #expect(KeyDigest(of: text.utf8).hexadecimal == digest)
        #expect(KeyDigest(hexadecimal: digest.uppercased()) == KeyDigest(of: Array(text.utf8)))
    }

    @Test(
        "what is no digest is none",
        arguments: [
            "", "abc", String(repeating: "g", count: 64), String(repeating: "a", count: 63), String(repeating: "a", count: 65),
            "+" + String(repeating: "a", count: 63), String(repeating: "é", count: 32),
        ])
    func noDigest(text: String) { #expect(KeyDigest(hexadecimal: text) == nil) }

    @Test("each of a thousand keys is found by itself, and nothing else is a key")
    func thousand() {
        let ring = KeyRing((0..<1000).map { key("\($0)", "key-number-\($0)") })
        for number in 0..<1000 { #expect(ring.key("key-number-\(number)".utf8)?.name == "\(number)") }
        var random = SplitMix64(seed: 7)
        var passed = 0
        for _ in 0..<10_000 {
            let length = Int(random.next() % 60)
            if ring.key((0..<length).map { _ in UInt8(truncatingIfNeeded: random.next()) }) != nil { passed += 1 }
        }
        #expect(passed == 0)
        #expect(ring.key("key-number-1 ".utf8) == nil && ring.key("KEY-NUMBER-1".utf8) == nil && ring.key("".utf8) == nil)
    }

    @Test("without keys, not even the empty one is known")
    func empty() { #expect(KeyRing().key("".utf8) == nil && KeyRing().isEmpty) }
}

@Suite("The key that a request presents")
struct CredentialsTests {
    private func presented(authorization: [String] = [], plain: [String] = []) -> Credentials {
        var credentials = Credentials()
        for value in authorization { credentials.add(authorization: Array(value.utf8)) }
        for value in plain { credentials.add(Array(value.utf8)) }
        return credentials
    }

    @Test(
        "is read from Authorization, as bearer token or as the password of Basic",
        arguments: [
            ("Bearer k-1", "k-1", false), ("bearer   k-1", "k-1", false), ("BEARER k-1", "k-1", false),
            ("Basic YTprLTE=", "k-1", true), ("basic Oms6MQ==", "k:1", true),
        ])
    func authorization(value: String, key: String, isBasic: Bool) {
        let found = presented(authorization: [value])
        #expect(found.problem == nil && found.key == Array(key.utf8) && found.isBasic == isBasic)
    }

    @Test(
        "cannot be read from anything else",
        arguments: ["k-1", "Bearer", "Bearer ", "Digest k-1", "Basic !", "Basic a2V5", "Basic YTo=", "", "Bearer " + long])
    func unreadable(value: String) { #expect(presented(authorization: [value]).problem == .unreadable) }

    @Test("may come in several fields, if it is the same in all of them")
    func several() {
        #expect(presented(authorization: ["Bearer a"], plain: ["a"]).problem == nil)
        #expect(presented(authorization: ["Bearer a"], plain: ["b"]).problem == .several)
        #expect(presented(authorization: ["Bearer a", "Bearer b"]).problem == .several)
        #expect(presented(authorization: ["nonsense"], plain: ["a"]).problem == .unreadable)
        #expect(presented(plain: [""]).problem == .unreadable)
        #expect(presented().problem == .missing)
    }

    private static let long = String(repeating: "k", count: 1025)
}

@Suite("What a key is good for")
struct KeyCheckTests {
    private static let user = ClientKey(name: "user", digest: KeyDigest(of: "user-key".utf8), expiresAt: 1000)
    private static let admin = ClientKey(name: "admin", digest: KeyDigest(of: "admin-key".utf8), isAdmin: true)

    private func check(
        _ method: String, _ target: String, key: String?, isBasic: Bool = false, now: Int = 0, site: LocalAccess.Site = .unknown
    ) -> KeyCheck {
        var credentials = Credentials()
        // "u:" before the key, in Base64.
        if let key {
            if isBasic {
                credentials.add(
                    authorization: Array("Basic \(key == "admin-key" ? "dTphZG1pbi1rZXk=" : "dTp1c2VyLWtleQ==")".utf8))
            } else {
                credentials.add(Array(key.utf8))
            }
        }
        return KeyCheck(
            RequestLine(bytes: .init(), method: method, target: target), credentials, KeyRing([Self.user, Self.admin]), now: now,
            site: site)
    }

    @Test("health checks need none", arguments: ["/health", "/llmhealth", "/favicon.ico", "/health?x=1", "/health/"])
    func open(target: String) { #expect(check("GET", target, key: nil) == .passed(nil)) }

    @Test(
        "the API needs one",
        arguments: [
            ("POST", "/v1/chat/completions"), ("GET", "/v1/models"), ("GET", "/api/tags"), ("POST", "/api/show"),
            ("GET", "/v1/models/m"), ("POST", "/v1/streams/lookup"), ("POST", "/v1/audio/speech"), ("GET", "/props"),
            ("OPTIONS", "/v1/chat/completions"), ("GET", "/v1/responses/resp_1"), ("DELETE", "/v1/files/file-1"),
            ("POST", "/v1/responses/input_tokens"), ("GET", "/v1/realtime?model=m"), ("POST", "/tokenize"), ("POST", "/score"),
        ])
    func api(method: String, target: String) {
        #expect(check(method, target, key: nil) == .denied(.credentials(.missing)))
        #expect(check(method, target, key: "wrong-key") == .denied(.unknown))
        #expect(check(method, target, key: "user-key") == .passed(Self.user))
        #expect(check(method, target, key: "admin-key") == .passed(Self.admin))
    }

    @Test(
        "what shows or steers the balancer needs an administrator's",
        arguments: [
            "/admin", "/admin/requests", "/upstream", "/upstream/A/slots", "/llmhealth-snapshot", "/llmhealth-monitor",
            "/llmhealth-monitor/x.js", "/access-log-stats", "/metrics",
            // Of engines:
            "/slots", "/logs", "/", "/anything", "/healthy", "//health", "/filesystem", "/api/delete", "/unload",
            "/models/load", "/v1/files/../../slots", "/v1/files/%2e%2e/%2E%2e/slots", "/v1/files/..%2f..%2fslots",
            "/v1/responses/..%5cslots", "/v1/files/./x", "/v1/models/..%2fslots",
        ])
    func admin(target: String) {
        #expect(check("GET", target, key: nil) == .denied(.credentials(.missing)))
        #expect(
            check("GET", target, key: "user-key") == .denied(.notAdmin(name: "user", path: Routes.path(of: target))))
        #expect(check("GET", target, key: "admin-key") == .passed(Self.admin))
        #expect(check("GET", target, key: "admin-key", isBasic: true, site: .own) == .passed(Self.admin))
    }

    @Test(
        "an engine is managed with an administrator's only",
        arguments: [
            ("POST", "/api/pull"), ("DELETE", "/api/delete"), ("POST", "/api/create"), ("POST", "/models/load"),
            ("DELETE", "/v1/models/m"), ("POST", "/props"), ("POST", "/slots/0?action=save"), ("POST", "/flush_cache"),
            ("POST", "/health"), ("PUT", "/lora-adapters"),
        ])
    func management(method: String, target: String) {
        #expect(check(method, target, key: "user-key") == .denied(.notAdmin(name: "user", path: Routes.path(of: target))))
        #expect(check(method, target, key: "admin-key") == .passed(Self.admin))
    }

    @Test("a key for some models is good only for what tells its model for certain")
    func limited() {
        let ring = KeyRing([ClientKey(name: "limited", digest: KeyDigest(of: "k".utf8), models: [ModelPattern("m")])])
        func passes(_ method: String, _ target: String) -> Bool {
            var credentials = Credentials()
            credentials.add(Array("k".utf8))
            let line = RequestLine(bytes: .init(), method: method, target: target)
            if case .passed = KeyCheck(line, credentials, ring, now: 0, site: .unknown) { return true } else { return false }
        }
        for target in ["/v1/chat/completions", "/v1/messages?beta=true", "/api/show", "/v1/embeddings", "/v1/audio/speech"] {
            #expect(passes("POST", target), "\(target)")
        }
        for target in ["/v1/models", "/v1/models/m", "/api/tags"] { #expect(passes("GET", target), "\(target)") }
        for target in [
            "/v1/chat/completions?model=m", "/v1/chat/completions?x=1&m%6fdel=n", "/v1/chat/completions?Model=n", "/v1/score",
            "/v1/messages/batches", "/v1/files", "/v1/batches", "/v1/responses/compact", "/v1/streams/lookup", "/v1/tokenize/x",
        ] {
            #expect(!passes("POST", target), "\(target)")
        }
        for target in [
            "/v1/models/m?model=n", "/models/m", "/v1/realtime?model=m", "/v1/responses/resp_1", "/v1/stream/c?model=m", "/props",
            "/v1/models/..%2fprops",
        ] {
            #expect(!passes("GET", target), "\(target)")
        }
        for method in ["PUT", "GET", "post", "DELETE"] { #expect(!passes(method, "/v1/chat/completions"), "\(method)") }
    }

    @Test("is over at its end")
    func expired() {
        #expect(check("GET", "/v1/models", key: "user-key", now: 999) == .passed(Self.user))
        #expect(check("GET", "/v1/models", key: "user-key", now: 1000) == .denied(.expired(name: "user")))
    }

    @Test("a browser's own password steers nothing for pages of other sites, and computes nothing at all")
    func basic() {
        for target in ["/admin/reload", "/upstream/A/slots"] {
            #expect(
                check("POST", target, key: "admin-key", isBasic: true, site: .other) == .denied(.otherSite(path: target)))
            #expect(check("POST", target, key: "admin-key", isBasic: true) == .denied(.unprovenSite(path: target)))
            #expect(check("POST", target, key: "admin-key", isBasic: true, site: .own) == .passed(Self.admin))
            #expect(check("POST", target, key: "admin-key", site: .other) == .passed(Self.admin))
        }
        // Over plain HTTP a browser does not say for which page it opens a link or loads a picture.
        for target in ["/upstream/A/unload", "/unload"] {
            #expect(check("GET", target, key: "admin-key", isBasic: true) == .denied(.unprovenSite(path: target)))
        }
        #expect(check("GET", "/admin/requests", key: "admin-key", isBasic: true) == .passed(Self.admin))
        #expect(check("POST", "/v1/chat/completions", key: "admin-key", isBasic: true) == .denied(.credentials(.unreadable)))
        #expect(check("POST", "/v1/streams/lookup", key: "admin-key", isBasic: true) == .denied(.credentials(.unreadable)))
        #expect(check("GET", "/v1/models", key: "user-key", isBasic: true) == .passed(Self.user))
    }

    @Test(
        "with paths, it opens these and the lists of models",
        arguments: [
            (
                "chat",
                [
                    "POST /v1/chat/completions", "POST /v1/responses", "POST /api/chat", "POST /v1/messages", "GET /v1/files",
                    "POST /v1/streams/lookup", "POST /v1/chat/completions/control",
                ]
            ),
            ("embeddings", ["POST /v1/embeddings", "POST /api/embed", "POST /v1/rerank", "POST /score"]),
            ("audio", ["POST /v1/audio/transcriptions", "POST /v1/audio/speech"]),
            ("images", ["POST /v1/images/generations", "POST /v1/videos"]), ("metrics", ["GET /metrics"]),
            ("read-only", ["GET /metrics", "GET /llmhealth-monitor", "GET /llmhealth-snapshot", "GET /admin/requests"]),
            (
                "admin",
                [
                    "POST /admin/reload", "GET /slots", "GET /metrics", "GET /admin/requests",
                    "POST /v1/audio/../chat/completions", "POST /v1/images/..%2f..%2fmodels/unload",
                ]
            ),
        ])
    func paths(group: String, opened: [String]) throws {
        let paths = Set([try #require(PathGroup(rawValue: group))])
        let key = ClientKey(name: "k", digest: KeyDigest(of: "k".utf8), paths: paths, isAdmin: group == "admin")
        let all = [
            "POST /v1/chat/completions", "POST /v1/responses", "POST /api/chat", "POST /v1/messages", "GET /v1/files",
            "POST /v1/embeddings", "POST /api/embed", "POST /v1/rerank", "POST /score", "POST /v1/audio/transcriptions",
            "POST /v1/audio/speech", "POST /v1/images/generations", "POST /v1/videos", "GET /metrics", "GET /llmhealth-monitor",
            "GET /llmhealth-snapshot", "GET /admin/requests", "POST /admin/reload", "GET /slots", "POST /upstream/A/x",
            "POST /v1/audio/../chat/completions", "POST /v1/images/..%2f..%2fmodels/unload", "POST /v1/streams/lookup",
            "POST /v1/chat/completions/control",
        ]
        for request in all + ["GET /v1/models", "GET /api/tags", "GET /v1/models/m"] {
            let (method, target) = (String(request.prefix { $0 != " " }), String(request.drop { $0 != " " }.dropFirst()))
            var credentials = Credentials()
            credentials.add(Array("k".utf8))
            let line = RequestLine(bytes: .init(), method: method, target: target)
            let passes = KeyCheck(line, credentials, KeyRing([key]), now: 0, site: .unknown) == .passed(key)
            let expected = opened.contains(request) || !all.contains(request) || group == "admin" && target.hasPrefix("/upstream")
            #expect(passes == expected || group == "admin" && target.hasPrefix("/llmhealth"), "\(group): \(request)")
        }
    }
}

@Suite("Wrong keys")
struct FailedKeysTests {
    private let start = Moment(nanoseconds: 1)

    @Test("are answered late from the eleventh of an address in a minute on")
    func counted() {
        var keys = FailedKeys()
        let free = (0..<10).map { _ in keys.failed("a", at: start) }
        #expect(free.allSatisfy { !$0 })
        let (eleventh, other) = (keys.failed("a", at: start + .seconds(59)), keys.failed("b", at: start))
        let later = keys.failed("a", at: start + .seconds(60))
        #expect(eleventh && !other && !later)
    }

    @Test("of many addresses are remembered for a bounded number of them")
    func bounded() {
        var keys = FailedKeys()
        for _ in 0..<11 { _ = keys.failed("a", at: start) }
        for number in 0..<(FailedKeys.mostAddresses - 1) { _ = keys.failed("\(number)", at: start) }
        let known = keys.failed("a", at: start)
        _ = keys.failed("one more", at: start)
        let forgotten = keys.failed("a", at: start)
        #expect(known && !forgotten)
    }
}

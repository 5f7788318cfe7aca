import Foundation
import Proxy
import Routing

// `keys`: read here, used in Proxy.

extension ConfigurationDecoder {
    /// Shorter keys can be guessed. Those of `key new` have 46 characters.
    private static let shortestKey = 16

    /// - Parameter known: keys of another file.
    mutating func keys(_ field: Field?, beside known: [ClientKey] = []) -> [ClientKey] {
        var keys = known
        for item in items(field) {
            guard let key = key(item) else { continue }
            if let models = key.models, models.contains(where: { $0.source.isEmpty }) {
                report(item, "an empty pattern matches no model", hint: "remove it")
            }
            if keys.contains(where: { $0.name == key.name }) {
                report(
                    item, "there are two keys with the name \"\(key.name)\"",
                    hint: "the name is what logs show; give each its own")
            }
            if let same = keys.first(where: { $0.digest == key.digest }) {
                report(item, "is the same key as \"\(same.name)\"", hint: "make another one with llama-balancer key new NAME")
            }
            keys.append(key)
        }
        if let field, case .list(let items) = field.node.content, items.isEmpty {
            report(field, "is empty", hint: "leave it out if nobody needs a key, or make one with llama-balancer key new NAME")
        }
        return keys
    }

    /// `keys-file`: a list of keys, or an object with `keys`, so that the file can be owned by another program.
    mutating func keys(inFile path: String, _ field: Field, beside known: [ClientKey]) -> [ClientKey] {
        files.append(path)
        // Another program owns the file. Reading a pipe that it left there would never end.
        switch ConfigurationLoader.readRegular(path) {
        case .failure(let problem): report(field, "\(path): \(problem.description)")
        case .success(let text) where text.allSatisfy(\.isWhitespace):
            report(field, "\(path): the file is empty", hint: "write keys: [{ name: …, key-sha256: … }], or the list alone")
        case .success(let text):
            do {
                let content = try ConfigurationFile.parse(text, file: path)
                var decoder = ConfigurationDecoder(file: path, environment: environment)
                let keys = decoder.keys(ofRoot: content.root, beside: known)
                take(content.problems + decoder.problems)
                return keys
            } catch {
                take(error.list)
            }
        }
        return known
    }

    private mutating func keys(ofRoot root: ConfigurationNode, beside known: [ClientKey]) -> [ClientKey] {
        var list = filled(Field(path: "", node: root, keyPosition: root.position))
        if case .object = root.content {
            let fields = object(list, .keysFile)
            guard let keys = fields["keys"] else {
                if !fields.hasUnknown {
                    report(list, "has no keys", hint: "keys: [{ name: …, key-sha256: … }], or the list alone")
                }
                return known
            }
            list = keys
        }
        return keys(list, beside: known)
    }

    private mutating func key(_ field: Field) -> ClientKey? {
        let fields = object(field, .key, hint: "llama-balancer key new NAME prints what to write")
        let name = keyName(fields["name"])
        let digest = digest(fields, in: field)
        if let field = fields.including(null: "models"), field.node.content == .null {
            report(field, "has no value", hint: "leave it out for all models")
        }
        let models = fields["models"].map { field in items(field).compactMap { regex($0) }.map { ModelPattern($0) } }
        let paths = pathGroups(fields["paths"])
        let isAdmin = boolean(fields["admin"]) ?? false
        if let field = fields["admin"], !isAdmin, paths?.contains(.admin) == true {
            report(field, "paths says the opposite", hint: "remove admin from one of the two")
        }
        let share = KeyShare(priority: priority(fields["priority"]), weight: weight(fields["weight"]))
        let expiresAt = expiry(fields["expires"])
        let limits = KeyLimits(
            requestMax: integer(fields["request-max"], in: 1...1_000_000),
            requestsPerMinute: integer(fields["requests-per-minute"], in: 1...1_000_000),
            tokensPerMinute: integer(fields["tokens-per-minute"], in: 1...1_000_000_000_000),
            tokensPerDay: integer(fields["tokens-per-day"], in: 1...1_000_000_000_000))
        if let field = fields["models"], models?.isEmpty == true, case .list(let items) = field.node.content, items.isEmpty {
            report(field, "is empty, so the key is good for no model", hint: "leave it out for all models")
        }
        if fields["name"] == nil, case .object = field.node.content, !fields.hasUnknown {
            report(field, "the key has no name", hint: "add name: it is what logs show")
        }
        guard let name, let digest else { return nil }
        return ClientKey(
            name: name, digest: digest, models: models, paths: paths, isAdmin: isAdmin || paths?.contains(.admin) == true,
            expiresAt: expiresAt, limits: limits, share: share)
    }

    private mutating func pathGroups(_ field: Field?) -> Set<PathGroup>? {
        guard let field else { return nil }
        var groups: Set<PathGroup> = []
        for item in items(field) {
            guard let text = text(item) else { continue }
            if let group = PathGroup(rawValue: text) {
                groups.insert(group)
            } else {
                let names = PathGroup.allCases.map(\.rawValue).joined(separator: ", ")
                report(item, "unknown group of paths; valid: \(names)")
            }
        }
        if case .list(let items) = field.node.content, items.isEmpty {
            report(field, "is empty, so the key opens nothing", hint: "leave it out for all paths of the engines' APIs")
        }
        return groups
    }

    private mutating func weight(_ field: Field?) -> Double {
        guard let field else { return 1 }
        guard case .scalar(let scalar) = field.node.content, scalar.isNumber, let weight = Double(scalar.text),
            (0.01...100).contains(weight)
        else {
            report(field, "not a number from 0.01 to 100", hint: "2 gets twice as much as 1 when both have requests waiting")
            return 1
        }
        return weight
    }

    private mutating func keyName(_ field: Field?) -> String? {
        guard let field, let name = text(field) else { return nil }
        guard !name.isEmpty, name.utf8.count <= 64, name.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F })
        else {
            report(field, "not a name", hint: "write 1 to 64 characters, for example the person's or the program's name")
            return nil
        }
        return name
    }

    private mutating func digest(_ fields: Fields, in field: Field) -> KeyDigest? {
        switch (fields["key-sha256"], fields["key"]) {
        case (let digest?, nil):
            guard let text = text(digest) else { return nil }
            if let digest = KeyDigest(hexadecimal: text) { return digest }
            report(digest, "not a SHA-256", hint: "it has 64 hexadecimal digits; llama-balancer key new NAME prints it")
        case (nil, let key?): return digestOfKey(key)
        case (let digest?, _?): report(digest, "there is a key beside it", hint: "write one of them")
        case (nil, nil):
            guard case .object = field.node.content, !fields.hasUnknown else { return nil }
            report(
                field, "the key itself is missing",
                hint: "add key-sha256 (llama-balancer key new NAME prints it), or key: ${NAME} for an environment variable")
        }
        return nil
    }

    private mutating func digestOfKey(_ field: Field) -> KeyDigest? {
        guard let key = text(field) else { return nil }
        guard case .scalar(let scalar) = field.node.content, scalar.isFromEnvironment else {
            report(
                field, "a key does not belong in this file: whoever reads the file could use it",
                hint: "write key-sha256 (llama-balancer key new NAME prints it), or key: ${NAME} for an environment variable")
            return nil
        }
        guard key.utf8.count >= Self.shortestKey else {
            report(
                field, "the key has fewer than \(Self.shortestKey) characters", hint: "make one with llama-balancer key new NAME")
            return nil
        }
        guard key.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            report(
                field, "the key has characters that header fields cannot carry", hint: "make one with llama-balancer key new NAME"
            )
            return nil
        }
        return KeyDigest(of: key.utf8)
    }

    /// The end of that day, or the moment, in milliseconds since 1970.
    private mutating func expiry(_ field: Field?) -> Int? {
        guard let field, let text = text(field) else { return nil }
        let day = Date.ISO8601FormatStyle().year().month().day()
        // February 30 would be read as March 2.
        if let start = try? Date(text, strategy: day), start.formatted(day) == text {
            return Int(start.timeIntervalSince1970 * 1000) + 86_400_000
        }
        if let moment = try? Date(text, strategy: .iso8601), moment.formatted(day) == text.prefix(10) {
            return Int(moment.timeIntervalSince1970 * 1000)
        }
        report(field, "not a date", hint: "for example 2027-01-31 (good until the end of that day, UTC), or 2027-01-31T12:00:00Z")
        return nil
    }
}

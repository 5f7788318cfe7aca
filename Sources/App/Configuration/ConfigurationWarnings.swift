import Proxy
import Routing

extension Configuration {
    /// What is valid and yet hardly meant. Lines without a line break.
    package var warnings: [String] {
        var patterns = [("sticky.username-pattern", sticky.usernamePattern)]
        if case .replace(let more) = volatilePrompts { patterns += more.map { ("volatile-prompts", $0) } }
        patterns += modelRules.compactMap { rule in rule.modelPattern.map { ("model-rules[].match.model", $0) } }
        patterns += (models ?? []).map { ("models", $0.pattern) }
        patterns += keys.flatMap { $0.models ?? [] }.map { ("keys[].models", $0.source) }
        return patterns.filter { NestedQuantifiers.occur(in: $0.1) }.map { key, pattern in
            "\(key): \(pattern) repeats a group in which something repeats. A client can write a short text that keeps such a pattern "
                + "busy for minutes, and all other clients waiting; write it without the outer repetition"
        }
    }
}

extension Configuration {
    /// Whether anybody on the network may use everything.
    var isOpenToAll: Bool {
        keys.isEmpty && listen.listeners.contains { $0.address.isReachableFromOthers && !$0.needsCertificate }
    }

    /// What is right on a network that one trusts, and nowhere else. Lines without a line break.
    var exposures: [String] {
        listen.listeners.filter(\.address.isReachableFromOthers).flatMap { listener -> [String] in
            var lines: [String] = []
            if keys.isEmpty, !listener.needsCertificate {
                lines.append(
                    "whoever can reach \(listener.address) can use all servers: no key is asked for. On a network that others use, add keys "
                        + "(`llama-balancer key new NAME`), or listen on 127.0.0.1")
            } else if listener.tls == nil {
                lines.append(
                    "keys, prompts and answers cross the network to \(listener.address) unencrypted. Add listen.tls, or listen on "
                        + "127.0.0.1 behind a proxy that has it")
            }
            return lines
        }
    }
}

extension Configuration.Listener {
    /// Clients need a certificate of their own.
    fileprivate var needsCertificate: Bool { tls?.clientAuthorities != nil }
}

/// Finds `(a+)+` and the like in regular expressions: the time to find out that they do not match can double with every character.
enum NestedQuantifiers {
    /// Repetitions up to here are harmless: `(\d{1,3}\.){3}`.
    private static let fewTimes = 9

    static func occur(in pattern: String) -> Bool {
        let characters = Array(pattern)
        /// For each open group: whether something repeats in it.
        var open = [false]
        /// The same of the group that ends just before the current character.
        var closed = false
        var isInClass = false
        var index = 0
        while index < characters.count {
            let character = characters[index]
            index += 1
            let (isAfterGroup, before) = (closed, open.count - 1)
            closed = false
            switch character {
            case "\\": index += 1
            case "]": isInClass = false
            case _ where isInClass: break
            case "[":
                isInClass = true
                // Such a bracket is an element of the class.
                if index < characters.count, characters[index] == "^" { index += 1 }
                if index < characters.count, characters[index] == "]" { index += 1 }
            case "(": open.append(false)
            case ")" where open.count > 1:
                closed = open.removeLast()
                if closed { open[before - 1] = true }
            case "*", "+", "{":
                guard character != "{" || repeatsOften(characters[index...]) else { break }
                if isAfterGroup { return true }
                open[before] = true
            default: break
            }
        }
        return false
    }

    /// `count` begins behind the brace: `3}`, `1,3}` or `2,}`.
    private static func repeatsOften(_ count: ArraySlice<Character>) -> Bool {
        let parts = count.prefix { $0 != "}" }.split(separator: ",", omittingEmptySubsequences: false)
        guard let last = parts.last, parts.count <= 2 else { return false }
        return last.isEmpty || Int(String(last)).map { $0 > fewTimes } == true
    }
}

/// Replaces `${NAME}` in texts by the environment's values; `$${` stands for a plain `${`.
enum EnvironmentSubstitution {
    /// Why a text cannot be filled in.
    struct Failure: Error, Equatable {
        let message: String
        let hint: String
    }

    /// The text with every `${NAME}` replaced. Placeholders inside the values are not replaced.
    static func fill(_ text: String, from environment: [String: String]) throws(Failure) -> String {
        var result = ""
        var rest = text[...]
        while let start = rest.firstRange(of: "${") {
            let before = rest[..<start.lowerBound]
            rest = rest[start.upperBound...]
            if before.last == "$" {
                result += before.dropLast() + "${"
                continue
            }
            result += before
            guard let end = rest.firstIndex(of: "}"), isName(rest[..<end]) else {
                throw Failure(
                    message: "\"${\" is not followed by a variable's name and \"}\"",
                    hint: "write ${NAME}, or $${ for a plain ${")
            }
            let name = String(rest[..<end])
            guard let value = environment[name] else {
                throw Failure(
                    message: "the environment variable \(name) is not set", hint: "set it, or write $${ for a plain ${")
            }
            result += value
            rest = rest[rest.index(after: end)...]
        }
        return result + rest
    }

    private static func isName(_ text: Substring) -> Bool {
        guard let first = text.utf8.first, !(0x30...0x39).contains(first) else { return false }
        return text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
                true
            default: false
            }
        }
    }
}

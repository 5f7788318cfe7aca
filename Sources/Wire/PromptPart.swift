/// The top-level values that engines turn into the prompt, in the order in which their templates do: whatever the order in the
/// body, the tools come first. The values are those of the places.
enum PromptPart: UInt8, Comparable, Sendable {
    /// Not a part of the prompt.
    case none
    case tools, functions, extraInput
    case system, instructions
    case prefix, images, messages, prompt, input, query
    case inputSuffix, suffix, documents

    init(_ key: Bytes) {
        switch key.count {
        case 5 where key.equals("tools"): self = .tools
        case 5 where key.equals("input"): self = .input
        case 5 where key.equals("query"): self = .query
        case 6 where key.equals("system"): self = .system
        case 6 where key.equals("prompt"): self = .prompt
        case 6 where key.equals("images"): self = .images
        case 6 where key.equals("suffix"): self = .suffix
        case 8 where key.equals("messages"): self = .messages
        case 9 where key.equals("functions"): self = .functions
        case 9 where key.equals("documents"): self = .documents
        case 11 where key.equals("input_extra"): self = .extraInput
        case 12 where key.equals("instructions"): self = .instructions
        case 12 where key.equals("input_prefix"): self = .prefix
        case 12 where key.equals("input_suffix"): self = .inputSuffix
        default: self = .none
        }
    }

    /// How the value is read.
    enum Form: Sendable {
        /// As JSON: keys, values and brackets count.
        case document
        /// As one message.
        case text
        /// Each object of an array is a message. Any other value is one.
        case messages
    }

    var form: Form {
        switch self {
        case .tools, .functions, .extraInput, .documents: .document
        case .none, .system, .instructions, .prefix, .images, .inputSuffix, .suffix: .text
        case .messages, .prompt, .input, .query: .messages
        }
    }

    /// Whose words it is, unless it says that itself.
    var role: UInt64 {
        switch self {
        case .tools, .functions, .extraInput, .documents: Self.noRole
        case .system, .instructions: Self.systemRole
        case .none, .prefix, .images, .messages, .prompt, .input, .query, .inputSuffix, .suffix: Self.userRole
        }
    }

    static func < (left: PromptPart, right: PromptPart) -> Bool { left.rawValue < right.rawValue }

    /// The bit of a set of parts.
    var bit: UInt32 { 1 &<< UInt32(rawValue) }

    // Constants rather than hashes of the names: these roles are in every request.
    private static let noRole: UInt64 = 0x9E6C_63D0_876A_1D57
    private static let systemRole: UInt64 = 0xD1B5_4A32_D192_ED03
    private static let userRole: UInt64 = 0xAEF1_7502_108E_F2D9
    private static let assistantRole: UInt64 = 0xDB4F_0B91_75AE_2165

    /// The hash of a message's role. The newer name of the system role is the older one.
    static func role(_ name: Bytes) -> UInt64 {
        switch name.count {
        case 4 where name.equals("user"): userRole
        case 6 where name.equals("system"): systemRole
        case 9 where name.equals("developer"): systemRole
        case 9 where name.equals("assistant"): assistantRole
        default: PromptHash.of(name)
        }
    }
}

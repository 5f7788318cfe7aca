package import Wire

/// One entry of `model-rules`: which chat requests it changes, before they are routed, and how. All conditions that are given
/// must hold. Rules apply in file order, to chat completions only.
package struct ModelRule: Equatable, Sendable {
    /// `match.model`: searched in the model's name, in any case. Nil: every model. Known to compile with `Regex(_:)`.
    package var modelPattern: String?

    /// `match.model-suffix`: the model's name ends in one of these, in any case. Empty: any name.
    package var modelSuffixes: [String]

    /// `match.system-starts-with`: the first text of a system message starts with one of these. Empty: any request.
    package var systemPrefixes: [String]

    /// `strip-suffix`: the suffix that matched is removed from the model's name before it is routed.
    package var stripSuffix: Bool

    /// `set`: fields for the request, in file order. An object is merged, one level deep, into an object the client sent;
    /// anything else replaces what the client sent.
    package var set: [JSON.Member]

    package init(
        modelPattern: String? = nil, modelSuffixes: [String] = [], systemPrefixes: [String] = [],
        stripSuffix: Bool = false, set: [JSON.Member] = []
    ) {
        self.modelPattern = modelPattern
        self.modelSuffixes = modelSuffixes
        self.systemPrefixes = systemPrefixes
        self.stripSuffix = stripSuffix
        self.set = set
    }
}

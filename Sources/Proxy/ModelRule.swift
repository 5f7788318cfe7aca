package import Wire

/// One entry of `model-rules`: which chat requests it changes before they are routed, and how. All given conditions must be
/// true. Rules apply in file order, to chat completions only.
package struct ModelRule: Equatable, Sendable {
    /// `match.model`: searched in the model's name, in any case. Nil: every model. The pattern has been checked to compile
    /// with `Regex(_:)`.
    package var modelPattern: String?

    /// `match.model-suffix`: the model's name ends with one of these, in any case. Empty: any name.
    package var modelSuffixes: [String]

    /// `match.system-starts-with`: the first text of a system message starts with one of these. Empty: any request.
    package var systemPrefixes: [String]

    /// `strip-suffix`: removes the suffix that matched from the model's name before routing.
    package var stripSuffix: Bool

    /// `set`: fields for the request, in file order. An object is merged, one level deep, into an object from the client; any
    /// other value replaces the client's value.
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

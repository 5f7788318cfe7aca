/// A regular expression that must match the whole model name.
package struct ModelPattern: Sendable, Equatable, Codable {
    /// The longest model name, in bytes, that is matched against an expression. Longer names match literal patterns only,
    /// because `Regex` backtracks and the client chooses the name (docs/decisions/0021-patterns-see-short-pieces.md).
    package static let longestName = 256

    package let source: String

    package init(_ source: String) { self.source = source }

    /// The model's name, if the pattern is one, with or without a backslash before its dots; else nil.
    package var name: String? {
        let name = source.replacing("\\.", with: ".")
        return name.contains { #"*+?()[]{}|\^$"#.contains($0) } ? nil : name
    }

    /// Also false when the pattern does not compile; the configuration check rejects such patterns.
    package func matches(_ model: String) -> Bool { CompiledPattern(self).matches(model) }
}

/// `Regex` is not `Sendable`, so compiled patterns are not shared between threads.
private enum CompiledPattern {
    /// A pattern without special characters is the name itself.
    case literal(String)
    case expression(Regex<AnyRegexOutput>)
    case nothing

    init(_ pattern: ModelPattern) {
        if !pattern.source.contains(where: { #".*+?()[]{}|\^$"#.contains($0) }) {
            self = .literal(pattern.source)
        } else if let expression = try? Regex(pattern.source).matchingSemantics(.unicodeScalar) {
            self = .expression(expression)
        } else {
            self = .nothing
        }
    }

    /// `m:latest` is the same model as `m`.
    func matches(_ model: String) -> Bool {
        let short = ModelName.withoutLatest(model)
        return matchesText(model) || short != model && matchesText(short)
    }

    private func matchesText(_ model: String) -> Bool {
        switch self {
        case .literal(let name): name == model || ModelName.withoutLatest(name) == model
        case .expression(let expression):
            model.utf8.count <= ModelPattern.longestName && (try? expression.wholeMatch(in: model)) != nil
        case .nothing: false
        }
    }
}

/// The route that a fleet has for a model, found before the router is called.
package struct RouteMatch: Sendable, Equatable, Codable {
    /// The fleet's number (`Router.fleetNumber`). The match is valid for this fleet only.
    var fleetNumber: Int
    /// The first route whose pattern matches; nil when none does.
    var route: Int?
}

/// The patterns of a fleet's routes, with its number.
package struct FleetPatterns: Sendable, Equatable {
    package private(set) var fleetNumber: Int
    fileprivate var patterns: [ModelPattern]
}

/// Finds the route of a model outside the router's lock, because matching may take long and model names come from clients.
///
/// Patterns are compiled once and results are cached. Each thread has its own matcher.
package struct ModelMatcher {
    private var compiled: [CompiledPattern]
    private var answers: [String: RouteMatch] = [:]
    package let fleetNumber: Int

    package init(_ patterns: FleetPatterns) {
        compiled = patterns.patterns.map { CompiledPattern($0) }
        fleetNumber = patterns.fleetNumber
    }

    /// The first route whose pattern matches the whole name.
    package mutating func match(_ model: String) -> RouteMatch {
        if compiled.isEmpty { return RouteMatch(fleetNumber: fleetNumber, route: nil) }
        if let known = answers[model] { return known }
        let match = RouteMatch(fleetNumber: fleetNumber, route: compiled.firstIndex { $0.matches(model) })
        if answers.count >= Router.rememberedModels { answers.removeAll(keepingCapacity: true) }
        answers[model] = match
        return match
    }

    /// The number of models with a cached result.
    var rememberedModels: Int { answers.count }
}

/// Whether one of several patterns matches a model's name.
///
/// Patterns are compiled once and results are cached. Each thread has its own.
package struct PatternSet {
    private let compiled: [CompiledPattern]
    private var answers: [String: Bool] = [:]

    package init(_ patterns: [ModelPattern]) { compiled = patterns.map { CompiledPattern($0) } }

    package mutating func matches(_ model: String) -> Bool {
        if let known = answers[model] { return known }
        let isMatch = compiled.contains { $0.matches(model) }
        if answers.count >= Router.rememberedModels { answers.removeAll(keepingCapacity: true) }
        answers[model] = isMatch
        return isMatch
    }
}

extension Router {
    /// The input for a `ModelMatcher`. It changes with `fleetChanged`.
    package var patterns: FleetPatterns {
        FleetPatterns(fleetNumber: fleetNumber, patterns: (fleet.routes ?? []).map(\.pattern))
    }
}

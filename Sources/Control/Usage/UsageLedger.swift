package import Wire

/// What the clients' keys have used, by day and model.
package struct UsageLedger: Sendable {
    package struct Place: Hashable, Sendable {
        /// Days since 1970, UTC.
        package var day: Int
        package var key: String
        package var model: String

        package init(day: Int, key: String, model: String) {
            self.day = day
            self.key = key
            self.model = model
        }
    }

    package struct Amount: Sendable, Equatable {
        package var requests = 0
        /// Tokens of prompts that were computed, and that came from a cache.
        package var promptTokens = 0
        package var cachedTokens = 0
        package var outputTokens = 0

        package init(requests: Int = 0, promptTokens: Int = 0, cachedTokens: Int = 0, outputTokens: Int = 0) {
            self.requests = requests
            self.promptTokens = promptTokens
            self.cachedTokens = cachedTokens
            self.outputTokens = outputTokens
        }

        /// Engines report any numbers, so sums stop at the largest one.
        static func += (sum: inout Amount, more: Amount) {
            // Not by key paths, which cost hundreds of instructions each: this is done for each request.
            add(more.requests, to: &sum.requests)
            add(more.promptTokens, to: &sum.promptTokens)
            add(more.cachedTokens, to: &sum.cachedTokens)
            add(more.outputTokens, to: &sum.outputTokens)
        }

        private static func add(_ more: Int, to sum: inout Int) {
            let (result, overflows) = sum.addingReportingOverflow(max(0, more))
            sum = overflows ? .max : result
        }
    }

    /// Clients choose the names of models. Further ones of a key in a day are `other`.
    static let mostModels = 200
    /// Then the oldest day is forgotten. They are copied to be shown.
    static let mostPlaces = 20_000

    package private(set) var amounts: [Place: Amount] = [:]
    private var changed: Set<Place> = []
    /// The models that each key has rows for, by day: of the latest two days, because a request is counted when it ends.
    private var models: [Int: [String: Set<String>]] = [:]

    package init() {}

    package mutating func add(_ amount: Amount, day: Int, key: String, model: String) {
        watch(day)
        var known = models[day]?[key]?.contains(model) ?? false
        if !known, models[day]?[key]?.count ?? 0 < Self.mostModels {
            models[day]?[key, default: []].insert(model)
            known = true
        }
        let place = Place(day: day, key: key, model: known ? model : "other")
        if amounts[place] == nil { makeRoom() }
        amounts[place, default: Amount()] += amount
        changed.insert(place)
    }

    /// An amount of an earlier run; a later one of the same place replaces it.
    package mutating func restore(_ amount: Amount, at place: Place) {
        if amounts[place] == nil { makeRoom() }
        amounts[place] = amount
        guard place.day >= models.keys.max().map({ $0 - 1 }) ?? place.day else { return }
        watch(place.day)
        models[place.day]?[place.key, default: []].insert(place.model)
    }

    /// Remembers the models of a day, in place of those of the oldest one.
    private mutating func watch(_ day: Int) {
        guard models[day] == nil else { return }
        models[day] = [:]
        while models.count > 2, let oldest = models.keys.min() { models[oldest] = nil }
    }

    /// What could not be written is told again.
    package mutating func noteUnwritten(_ places: [Place]) { changed.formUnion(places) }

    /// What has changed since the last call, in no order.
    package mutating func takeChanges() -> [(place: Place, amount: Amount)] {
        defer { changed.removeAll(keepingCapacity: true) }
        return changed.compactMap { place in amounts[place].map { (place, $0) } }
    }

    private mutating func makeRoom() {
        guard amounts.count >= Self.mostPlaces, let oldest = amounts.keys.map(\.day).min() else { return }
        amounts = amounts.filter { $0.key.day != oldest }
        changed = changed.filter { $0.day != oldest }
    }
}

extension UsageLedger {
    /// By what amounts are summed up.
    package enum Grouping: String, Sendable, CaseIterable {
        case key, model, day
    }

    /// Sums in ascending order of the group; without a grouping, everything by day, key and model.
    package func rows(by grouping: Grouping?) -> [(place: Place, amount: Amount)] {
        var sums: [Place: Amount] = [:]
        for (place, amount) in amounts { sums[place.group(by: grouping), default: Amount()] += amount }
        return sums.map { (place: $0.key, amount: $0.value) }
            .sorted { ($0.place.day, $0.place.key, $0.place.model) < ($1.place.day, $1.place.key, $1.place.model) }
    }
}

extension UsageLedger.Place {
    /// What is summed up with it is in the same place.
    fileprivate func group(by grouping: UsageLedger.Grouping?) -> UsageLedger.Place {
        switch grouping {
        case nil: self
        case .key: .init(day: 0, key: key, model: "")
        case .model: .init(day: 0, key: "", model: model)
        case .day: .init(day: day, key: "", model: "")
        }
    }
}

/// The form in the file and in `GET /admin/usage`.
extension UsageLedger.Place {
    package func json(_ amount: UsageLedger.Amount, by grouping: UsageLedger.Grouping? = nil) -> JSON {
        var members: [JSON.Member] = []
        if grouping == nil || grouping == .day { members.append(.init(name: "day", value: .string(Self.text(day: day)))) }
        if grouping == nil || grouping == .key { members.append(.init(name: "key", value: .string(key))) }
        if grouping == nil || grouping == .model { members.append(.init(name: "model", value: .string(model))) }
        members += [
            .init(name: "requests", value: JSON(amount.requests)), .init(name: "prompt_tokens", value: JSON(amount.promptTokens)),
            .init(name: "cached_tokens", value: JSON(amount.cachedTokens)),
            .init(name: "output_tokens", value: JSON(amount.outputTokens)),
        ]
        return .object(members)
    }

    /// - Parameter days: the number of a day by its text, `2026-11-28`.
    package static func read(_ line: JSON, days: (String) -> Int?) -> (place: UsageLedger.Place, amount: UsageLedger.Amount)? {
        guard let day = line["day"]?.stringValue.flatMap(days), let key = line["key"]?.stringValue,
            let model = line["model"]?.stringValue
        else { return nil }
        func number(_ name: String) -> Int { max(0, line[name]?.intValue ?? 0) }
        let amount = UsageLedger.Amount(
            requests: number("requests"), promptTokens: number("prompt_tokens"), cachedTokens: number("cached_tokens"),
            outputTokens: number("output_tokens"))
        return (.init(day: day, key: key, model: model), amount)
    }

    static func text(day: Int) -> String { String(UTCTimestamp.text(seconds: day * 86_400).prefix(10)) }
}

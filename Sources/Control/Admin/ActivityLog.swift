package import Proxy
import NIOConcurrencyHelpers
import Wire

/// Counts the model requests of the last hour, for `/access-log-stats`, and what keys use, for `/admin/usage`.
package final class ActivityLog: RequestObserver {
    private let recent = NIOLockedValueBox(RequestStatistics())
    private let usage = NIOLockedValueBox(UsageLedger())

    package init() {}

    package func requestEnded(_ record: borrowing RequestRecord) {
        addUsage(of: record)
        guard let model = record.model else { return }
        let (seconds, address, username) = (record.startedAt / 1000, record.address, record.username)
        recent.withLockedValue { $0.record(at: seconds, ip: address, model: model, username: username) }
    }

    /// What no server has seen, and what makes none compute, has used nothing.
    private func addUsage(of record: borrowing RequestRecord) {
        guard let key = record.keyName, record.server != nil, record.counts || record.usage != nil else { return }
        let amount = UsageLedger.Amount(
            requests: 1, promptTokens: record.usage?.promptTokens ?? 0, cachedTokens: record.usage?.cachedTokens ?? 0,
            outputTokens: record.usage?.predictedTokens ?? 0)
        let (day, model) = (record.startedAt / 86_400_000, record.model ?? record.instance ?? "")
        usage.withLockedValue { $0.add(amount, day: day, key: key, model: model) }
    }

    /// Reads or changes what keys have used.
    package func withUsage<Result>(_ body: (inout UsageLedger) throws -> Result) rethrows -> Result {
        try usage.withLockedValue { try body(&$0) }
    }

    func usage(by grouping: UsageLedger.Grouping?) -> JSON {
        let current = usage.withLockedValue { $0 }
        return ["usage": .array(current.rows(by: grouping).map { $0.place.json($0.amount, by: grouping) })]
    }

    func statistics(names: ClientNames) -> JSON {
        // A copy: sorting and writing need no lock.
        let current = recent.withLockedValue { $0 }
        return current.json(at: Clock.wallMilliseconds / 1000, names: names)
    }
}

package import Proxy
import NIOConcurrencyHelpers
import Wire

/// Counts the model requests of the last hour, for `/access-log-stats`.
package final class ActivityLog: RequestObserver {
    private let recent = NIOLockedValueBox(RequestStatistics())

    package init() {}

    package func requestEnded(_ record: borrowing RequestRecord) {
        guard let model = record.model else { return }
        let (seconds, address, username) = (record.startedAt / 1000, record.address, record.username)
        recent.withLockedValue { $0.record(at: seconds, ip: address, model: model, username: username) }
    }

    func statistics(names: ClientNames) -> JSON {
        // A copy: sorting and writing need no lock.
        let current = recent.withLockedValue { $0 }
        return current.json(at: Clock.wallMilliseconds / 1000, names: names)
    }
}

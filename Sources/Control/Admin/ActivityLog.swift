package import Proxy
import NIOConcurrencyHelpers
package import Wire

/// Counts the model requests of the last hour, for `/access-log-stats`.
package final class ActivityLog: RequestObserver {
    private let recent = NIOLockedValueBox(RequestStatistics())

    package init() {}

    package func requestEnded(_ record: RequestRecord) {
        guard let model = record.model else { return }
        recent.withLockedValue {
            $0.record(at: record.startedAt / 1000, ip: record.address, model: model, username: record.username)
        }
    }

    package func statistics() -> JSON { recent.withLockedValue { $0.json(at: Clock.wallMilliseconds / 1000) } }
}

import NIOConcurrencyHelpers
import Wire

/// This machine's own GPU load, read once a second; `/llmhealth` reports it to other balancers.
package final class LocalLoad: Sendable {
    private let window = NIOLockedValueBox(LoadWindow())

    package init() {}

    var json: JSON { window.withLockedValue { $0.json } }

    func record(_ utilization: Double) { window.withLockedValue { $0.record(utilization) } }

    /// Reads until cancelled. A driver call may be slow, so this never runs on an event loop.
    package func run() async { await run(LocalGPUs()) }

    func run(_ gpus: LocalGPUs) async {
        while !Task.isCancelled {
            record(gpus.read().utilization)
            try? await Task.sleep(for: .seconds(1))
        }
    }
}

import NIOConcurrencyHelpers
import NIOCore
import NIOEmbedded
import NIOPosix
import Proxy
import Routing
import Testing

@testable import Control

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

@Suite("A probe that cannot be made because this machine is out of descriptors") struct MonitorShortageTests {
    private static let id = BackendID(rawValue: 1)

    /// Runs a monitor whose connections all fail, for so many seconds of the loop's time.
    private func events(failing error: any Error, llmhealth: Bool = false, seconds: Int64) -> (attempts: Int, events: [Event]) {
        let loop = EmbeddedEventLoop()
        let attempts = NIOLockedValueBox(0)
        let events = NIOLockedValueBox<[Event]>([])
        let client = ProbeClient { _, _, loop in
            attempts.withLockedValue { $0 += 1 }
            return loop.makeFailedFuture(error)
        }
        let target = ProbeTarget(host: "127.0.0.1", port: 1)
        let monitor = ServerMonitor(
            server: MonitoredServer(id: Self.id, name: "A", engine: target, llmhealth: llmhealth ? target : nil), client: client,
            loop: loop, timing: .init(interval: .seconds(1), timeout: .seconds(2)),
            report: { event in events.withLockedValue { $0.append(event) } }, learned: { _, _, _ in }, inFlight: { _ in 0 })
        monitor.probeNow()
        for _ in 0..<seconds { loop.advanceTime(by: .seconds(1)) }
        monitor.stop()
        return (attempts.withLockedValue { $0 }, events.withLockedValue { $0 })
    }

    @Test("says nothing about the server, and is made again", arguments: [EMFILE, ENFILE, ENOBUFS, ENOMEM], [false, true])
    func shortage(code: CInt, llmhealth: Bool) {
        let (attempts, events) = events(
            failing: IOError(errnoCode: code, reason: "socket"), llmhealth: llmhealth, seconds: 5)
        #expect(events.isEmpty)
        #expect(attempts >= 5)
    }

    @Test("is not confused with a server that refuses")
    func refused() {
        let (_, events) = events(failing: IOError(errnoCode: ECONNREFUSED, reason: "connect"), seconds: 5)
        let reasons = events.compactMap { if case .probeFailed(Self.id, let reason, _) = $0 { reason } else { nil } }
        #expect(reasons.count >= 3 && Set(reasons) == ["connection refused"])
    }
}

import NIOCore
import Simulation
import Wire

/// All machines of the process, on one loop.
final class Fleet {
    let machines: [Machine]
    private let clock: ScaledClock
    private let lag: LoopLag

    init(_ models: [EngineModel], clock: ScaledClock, loop: any EventLoop) {
        machines = models.enumerated().map { Machine($1, name: "machine-\($0 + 1)", clock: clock, loop: loop) }
        self.clock = clock
        lag = LoopLag(loop: loop)
    }

    /// What happened since the start or the last `reset`.
    var report: JSON {
        [
            "scale": JSON(clock.scale), "virtual_seconds": JSON(clock.now),
            "lag_ms": ["p99": JSON(lag.milliseconds(quantile: 0.99)), "max": JSON(lag.milliseconds(quantile: 1))],
            "machines": .array(machines.map(\.report)),
        ]
    }

    func reset() {
        lag.reset()
        for machine in machines { machine.totals = Machine.Totals() }
    }
}

/// Virtual seconds since the start of the process.
struct ScaledClock: Sendable {
    private let start = NIODeadline.now()
    /// How many times as fast as life.
    let scale: Double

    init(scale: Double) { self.scale = scale }

    var now: Double { Double((NIODeadline.now() - start).nanoseconds) / 1e9 * scale }

    /// When that virtual second is.
    func deadline(_ time: Double) -> NIODeadline { start + .nanoseconds(Int64((time / scale * 1e9).rounded(.up))) }
}

/// How late the loop runs what is due: with much of it, all times of a run are wrong.
final class LoopLag {
    private static let interval = TimeAmount.milliseconds(10)

    private let loop: any EventLoop
    private var seen: [Int64] = []

    init(loop: any EventLoop) {
        self.loop = loop
        measure()
    }

    func reset() { seen.removeAll(keepingCapacity: true) }

    func milliseconds(quantile: Double) -> Double {
        let sorted = seen.sorted()
        guard let last = sorted.last else { return 0 }
        let index = Int(Double(sorted.count) * quantile)
        return Double(sorted.indices.contains(index) ? sorted[index] : last) / 1e6
    }

    private func measure() {
        let due = NIODeadline.now() + Self.interval
        loop.assumeIsolated().scheduleTask(deadline: due) {
            self.seen.append((.now() - due).nanoseconds)
            self.measure()
        }
    }
}

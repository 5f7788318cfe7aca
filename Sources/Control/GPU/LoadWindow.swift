import Wire

/// The last few GPU samples of this machine, and whether they make the machine busy; the data for `/llmhealth`.
///
/// The maximum is used, so that a short pause between two bursts of computing does not look idle.
struct LoadWindow: Equatable, Sendable {
    /// The machine is busy at this utilization in percent or above, as in the original.
    static let busyFrom = 50.0

    /// How many samples are kept. They are taken once a second, so this is the window's length in seconds too.
    let length: Int
    private var samples: [Double] = []

    /// - Parameter length: at least 1; 5 as in the original.
    init(length: Int = 5) {
        self.length = max(1, length)
    }

    /// Records one sample, in percent. Values outside 0 to 100 are clamped; NaN counts as 0.
    mutating func record(_ utilization: Double) {
        if samples.count == length { samples.removeFirst() }
        samples.append(utilization.isNaN ? 0 : min(max(utilization, 0), 100))
    }

    /// The highest sample in percent; 0 before the first one.
    var maximum: Double { samples.max() ?? 0 }

    var isBusy: Bool { maximum >= Self.busyFrom }

    /// The answer to `GET /llmhealth`, for example `{"status":"idle","gpu_util_max5s":0.0,"window_seconds":5}`.
    var json: JSON {
        [
            "status": isBusy ? "busy" : "idle",
            "gpu_util_max5s": JSON(maximum),
            "window_seconds": JSON(length),
        ]
    }
}

/// All graphics processors of this machine, from any vendor.
struct LocalGPUs: Sendable {
    /// The result of asking all readers once.
    struct Report: Equatable, Sendable {
        /// One entry for each device of each reader that answered.
        var readings: [GPUReading]
        /// One sentence for each reader that failed, beginning with its name.
        var problems: [String]

        /// The busiest device's utilization in percent; 0 without any device.
        var utilization: Double { readings.compactMap(\.utilization).max() ?? 0 }
    }

    private let readers: [any GPUReader]

    init(readers: [any GPUReader] = LocalGPUs.readersOfThisPlatform()) {
        self.readers = readers
    }

    /// The readers for this platform. macOS and Windows have no readers yet and report 0.
    static func readersOfThisPlatform() -> [any GPUReader] {
        #if os(Linux)
            [NvidiaReader(), AMDReader()]
        #else
            []
        #endif
    }

    /// Asks every reader. A reader that fails does not affect the others.
    func read() -> Report {
        var report = Report(readings: [], problems: [])
        for reader in readers {
            do throws(GPUReadFailure) {
                report.readings += try reader.read()
            } catch {
                report.problems.append("\(reader.name): \(error)")
            }
        }
        return report
    }
}

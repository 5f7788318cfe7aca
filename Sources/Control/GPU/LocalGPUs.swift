/// All graphics processors of this machine, whoever made them.
package struct LocalGPUs: Sendable {
    /// What the readers said this time.
    package struct Report: Equatable, Sendable {
        /// One entry for each device of each reader that answered.
        package var readings: [GPUReading]
        /// One sentence for each reader that failed, beginning with its name.
        package var problems: [String]

        /// The busiest device's utilization in percent; 0 without any device.
        package var utilization: Double { readings.compactMap(\.utilization).max() ?? 0 }
    }

    private let readers: [any GPUReader]

    package init(readers: [any GPUReader] = LocalGPUs.readersOfThisPlatform()) {
        self.readers = readers
    }

    /// The readers worth trying here. macOS and Windows have none yet: they report 0.
    package static func readersOfThisPlatform() -> [any GPUReader] {
        #if os(Linux)
            [NvidiaReader(), AMDReader()]
        #else
            []
        #endif
    }

    /// Asks every reader. One that fails takes nothing away from the others.
    package func read() -> Report {
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

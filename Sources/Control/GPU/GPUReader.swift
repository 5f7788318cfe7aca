/// One reading of a graphics processor.
struct GPUReading: Equatable, Sendable {
    /// The device's number in its driver.
    var index: Int
    /// The product name, or a name made of the device's number when the driver reports none.
    var name: String
    /// Percent of the time in which the device computed, 0 to 100; nil when the driver does not report it (an NVIDIA card
    /// divided by MIG, for example).
    var utilization: Double?
    /// Bytes of the device's memory in use; nil when unknown.
    var memoryUsed: UInt64?
    /// Bytes of memory the device has; nil when unknown.
    var memoryTotal: UInt64?

    init(
        index: Int, name: String, utilization: Double?, memoryUsed: UInt64? = nil, memoryTotal: UInt64? = nil
    ) {
        self.index = index
        self.name = name
        self.utilization = utilization
        self.memoryUsed = memoryUsed
        self.memoryTotal = memoryTotal
    }
}

/// Why a reader whose driver is installed could not read: names the call and the driver's answer.
struct GPUReadFailure: Error, Equatable, Sendable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// Reads the graphics processors of one vendor in this machine.
///
/// To support another vendor or platform, conform a type and add it to `LocalGPUs.readersOfThisPlatform()`.
/// A driver may be slow, so readers are called from their own thread, never from an event loop.
protocol GPUReader: Sendable {
    /// The vendor or interface, for log messages.
    var name: String { get }

    /// One reading for each device; none when this machine has no device or no driver of this kind.
    func read() throws(GPUReadFailure) -> [GPUReading]
}

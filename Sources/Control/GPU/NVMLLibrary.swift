#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The NVML library, open and initialised for as long as this value lives.
struct NVMLLibrary: ~Copyable {
    /// The codes of `nvmlReturn_t` that are handled separately.
    private enum Code {
        static let success: Int32 = 0
        /// The device does not support the query, for example its utilization while it is divided by MIG.
        static let notSupported: Int32 = 3
    }

    private typealias Device = UnsafeMutableRawPointer
    private typealias Call = @convention(c) () -> Int32
    private typealias GetCount = @convention(c) (UnsafeMutablePointer<UInt32>) -> Int32
    private typealias GetDevice = @convention(c) (UInt32, UnsafeMutablePointer<Device?>) -> Int32
    /// Fills in `{ unsigned gpu, memory; }`, both in percent.
    private typealias GetUtilization = @convention(c) (Device, UnsafeMutablePointer<UInt32>) -> Int32
    private typealias GetName = @convention(c) (Device, UnsafeMutablePointer<CChar>, UInt32) -> Int32
    /// Fills in `{ unsigned long long total, free, used; }`, in bytes.
    private typealias GetMemory = @convention(c) (Device, UnsafeMutablePointer<UInt64>) -> Int32
    private typealias ErrorText = @convention(c) (Int32) -> UnsafePointer<CChar>?

    private let handle: UnsafeMutableRawPointer
    private let initialize: Call
    private let getCount: GetCount
    private let getDevice: GetDevice
    private let getUtilization: GetUtilization
    // Optional: the numbers above are useful without these functions.
    private let getName: GetName?
    private let getMemory: GetMemory?
    private let errorText: ErrorText?
    private let shutdown: Call?

    /// Opens and initialises the library; nil when this machine does not have it.
    static func open(path: String) throws(GPUReadFailure) -> NVMLLibrary? {
        guard let handle = dlopen(path, RTLD_NOW | RTLD_LOCAL) else {
            let reason = dlerror().map { String(cString: $0) } ?? "unknown reason"
            if reason.contains("No such file") { return nil }
            throw GPUReadFailure("\(path) cannot be opened: \(reason)")
        }
        guard let initialize = find("nvmlInit_v2", in: handle, as: Call.self),
            let getCount = find("nvmlDeviceGetCount_v2", in: handle, as: GetCount.self),
            let getDevice = find("nvmlDeviceGetHandleByIndex_v2", in: handle, as: GetDevice.self),
            let getUtilization = find("nvmlDeviceGetUtilizationRates", in: handle, as: GetUtilization.self)
        else {
            dlclose(handle)
            throw GPUReadFailure("\(path) lacks a function that drivers have had since 2012; update the NVIDIA driver")
        }
        let library = NVMLLibrary(
            handle: handle, initialize: initialize, getCount: getCount, getDevice: getDevice,
            getUtilization: getUtilization,
            getName: find("nvmlDeviceGetName", in: handle, as: GetName.self),
            getMemory: find("nvmlDeviceGetMemoryInfo", in: handle, as: GetMemory.self),
            errorText: find("nvmlErrorString", in: handle, as: ErrorText.self),
            shutdown: find("nvmlShutdown", in: handle, as: Call.self))
        try library.check(library.initialize(), "nvmlInit_v2")
        return library
    }

    deinit {
        _ = shutdown?()
        dlclose(handle)
    }

    /// Every device that answers. Fails when the devices cannot be counted, or when there are devices and none answers.
    func readings() throws(GPUReadFailure) -> [GPUReading] {
        var count: UInt32 = 0
        try check(getCount(&count), "nvmlDeviceGetCount_v2")
        var readings: [GPUReading] = []
        var failure: GPUReadFailure?
        // More than 256 devices can only be an error of the library.
        for index in 0..<min(count, 256) {
            do throws(GPUReadFailure) {
                readings.append(try reading(ofDevice: index))
            } catch {
                failure = error
            }
        }
        if readings.isEmpty, let failure { throw failure }
        return readings
    }

    private func reading(ofDevice index: UInt32) throws(GPUReadFailure) -> GPUReading {
        var found: Device?
        try check(getDevice(index, &found), "nvmlDeviceGetHandleByIndex_v2 of GPU \(index)")
        guard let device = found else { throw GPUReadFailure("nvmlDeviceGetHandleByIndex_v2 of GPU \(index) gave no handle") }

        var percent: [UInt32] = [0, 0]
        let code = getUtilization(device, &percent)
        if code != Code.notSupported { try check(code, "nvmlDeviceGetUtilizationRates of GPU \(index)") }

        var memory: [UInt64] = [0, 0, 0]
        let knowsMemory = getMemory?(device, &memory) == Code.success
        return GPUReading(
            index: Int(index), name: name(of: device) ?? "NVIDIA GPU \(index)",
            utilization: code == Code.success ? min(Double(percent[0]), 100) : nil,
            memoryUsed: knowsMemory ? memory[2] : nil, memoryTotal: knowsMemory ? memory[0] : nil)
    }

    private func name(of device: Device) -> String? {
        // NVML's own size for names is 96. The array has one more byte, so that the text ends even if the library does not
        // terminate it.
        var bytes = [CChar](repeating: 0, count: 97)
        guard let getName, getName(device, &bytes, 96) == Code.success else { return nil }
        let name = String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return name.isEmpty ? nil : name
    }

    private func check(_ code: Int32, _ call: String) throws(GPUReadFailure) {
        if code == Code.success { return }
        let text = errorText?(code).map { String(cString: $0) } ?? "no text for it"
        throw GPUReadFailure("\(call) failed: \(text) (code \(code))")
    }

    private static func find<Function>(
        _ symbol: String, in handle: UnsafeMutableRawPointer, as type: Function.Type
    ) -> Function? {
        dlsym(handle, symbol).map { unsafeBitCast($0, to: type) }
    }
}

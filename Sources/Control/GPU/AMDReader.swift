#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Reads AMD graphics processors from the files that the Linux driver `amdgpu` provides below `/sys/class/drm`.
struct AMDReader: GPUReader {
    let name = "AMD (amdgpu)"
    private let root: String

    /// - Parameter root: the folder with the `card0`, `card1` … folders.
    init(root: String = "/sys/class/drm") {
        self.root = root
    }

    /// Never fails: a card that does not report its utilization is returned without it.
    func read() -> [GPUReading] {
        guard access(root, F_OK) == 0 else { return [] }
        // Linux numbers cards from 0 to 63. Trying each number also skips connectors (`card0-DP-1`).
        return (0..<64).compactMap(reading(ofCard:))
    }

    /// Nil when there is no such card, or when the card has another driver: only amdgpu has `gpu_busy_percent`.
    private func reading(ofCard index: Int) -> GPUReading? {
        let device = "\(root)/card\(index)/device"
        guard access("\(device)/gpu_busy_percent", F_OK) == 0 else { return nil }

        let product = readSmallFile("\(device)/product_name") ?? ""
        let name = product.isEmpty ? "AMD GPU (card\(index))" : product
        // Reading the other files would wake a card that sleeps to save power.
        if readSmallFile("\(device)/power/runtime_status") == "suspended" {
            return GPUReading(index: index, name: name, utilization: 0)
        }
        let percent = readSmallFile("\(device)/gpu_busy_percent").flatMap { Double($0) }
        return GPUReading(
            index: index, name: name,
            utilization: percent.flatMap { $0.isFinite ? min(max($0, 0), 100) : nil },
            memoryUsed: readSmallFile("\(device)/mem_info_vram_used").flatMap { UInt64($0) },
            memoryTotal: readSmallFile("\(device)/mem_info_vram_total").flatMap { UInt64($0) })
    }
}

/// The first 255 bytes of a file, without trailing spaces and line ends; nil when the file cannot be read.
private func readSmallFile(_ path: String) -> String? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 255)
    let count = read(file, &bytes, bytes.count)
    guard count >= 0 else { return nil }
    var content = bytes.prefix(count)
    while let last = content.last, last <= UInt8(ascii: " ") { content.removeLast() }
    return String(decoding: content, as: UTF8.self)
}

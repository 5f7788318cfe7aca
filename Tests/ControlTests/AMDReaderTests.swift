import Foundation
import Testing

@testable import Control

@Suite("AMD GPUs") struct AMDReaderTests {
    /// A folder like `/sys/class/drm`, with the given files below it.
    private final class FakeSysfs {
        let root: URL

        init(_ files: [String: String]) throws {
            root = try temporaryFolder()
            for (path, content) in files { try write(content, to: path) }
        }

        deinit { try? FileManager.default.removeItem(at: root) }

        func write(_ content: String, to path: String) throws {
            let file = root.appending(path: path)
            try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try content.write(to: file, atomically: true, encoding: .utf8)
        }

        func read() -> [GPUReading] { AMDReader(root: root.path).read() }
    }

    @Test("each card is reported with its utilization and memory, in order")
    func cards() throws {
        let sysfs = try FakeSysfs([
            "card1/device/gpu_busy_percent": "93\n",
            "card1/device/mem_info_vram_used": "1073741824\n",
            "card1/device/mem_info_vram_total": "17163091968\n",
            "card1/device/product_name": "Instinct MI50\n",
            "card0/device/gpu_busy_percent": "0\n",
        ])
        #expect(
            sysfs.read() == [
                GPUReading(index: 0, name: "AMD GPU (card0)", utilization: 0),
                GPUReading(
                    index: 1, name: "Instinct MI50", utilization: 93, memoryUsed: 1_073_741_824,
                    memoryTotal: 17_163_091_968),
            ])
    }

    @Test("connectors, cards of other drivers and other files are left out")
    func others() throws {
        let sysfs = try FakeSysfs([
            "card0-DP-1/device/gpu_busy_percent": "50",
            "card1/device/vendor": "0x8086",
            "renderD128/device/gpu_busy_percent": "50",
            "version": "drm 1.1.0",
        ])
        #expect(sysfs.read().isEmpty)
    }

    @Test("what is no percentage is no utilization", arguments: ["", "\n", "busy", "nan", "inf", "12 34"])
    func unreadable(text: String) throws {
        let sysfs = try FakeSysfs(["card0/device/gpu_busy_percent": text])
        #expect(sysfs.read() == [GPUReading(index: 0, name: "AMD GPU (card0)", utilization: nil)])
    }

    @Test("percentages are cut to 0 to 100", arguments: [("255", 100.0), ("-1", 0), ("100", 100), ("7", 7)])
    func cutOff(text: String, percent: Double) throws {
        let sysfs = try FakeSysfs(["card0/device/gpu_busy_percent": text])
        #expect(sysfs.read().map(\.utilization) == [percent])
    }

    @Test("a card that sleeps is idle, and its other files are left alone")
    func asleep() throws {
        let sysfs = try FakeSysfs([
            "card0/device/gpu_busy_percent": "80",
            "card0/device/mem_info_vram_used": "1",
            "card0/device/power/runtime_status": "suspended\n",
        ])
        #expect(sysfs.read() == [GPUReading(index: 0, name: "AMD GPU (card0)", utilization: 0)])
        try sysfs.write("active\n", to: "card0/device/power/runtime_status")
        #expect(sysfs.read().map(\.utilization) == [80])
    }

    @Test("without the folder there are no readings")
    func noFolder() {
        #expect(AMDReader(root: "/nonexistent/drm").read().isEmpty)
    }
}

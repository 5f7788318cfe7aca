import Foundation
import Testing

@testable import Control

@Suite(
    "NVIDIA GPUs",
    .enabled(if: FakeNVML.compiler != nil, "no C compiler (cc, clang, gcc) found to build the fake NVML library with"))
struct NvidiaReaderTests {
    @Test("every device is reported with its name, utilization and memory")
    func everyDevice() throws {
        let fake = try FakeNVML()
        let readings = try NvidiaReader(libraryPath: fake.libraryPath).read()
        #expect(
            readings == [
                GPUReading(
                    index: 0, name: "Fake RTX 0", utilization: 37, memoryUsed: 3_000_000_000, memoryTotal: 8_000_000_000),
                GPUReading(index: 1, name: "Fake RTX 1", utilization: 80, memoryUsed: 5, memoryTotal: 24_000_000_000),
            ])
    }

    @Test("each reading asks again, and the library is initialised once")
    func readsAgain() throws {
        let fake = try FakeNVML()
        let reader = NvidiaReader(libraryPath: fake.libraryPath)
        #expect(try reader.read().map(\.utilization) == [37, 80])
        try fake.answer(["gpu0": "0", "gpu1": "100"])
        #expect(try reader.read().map(\.utilization) == [0, 100])
        #expect(fake.calls == ["init"])
    }

    @Test("the library is shut down with its reader")
    func shutDown() throws {
        let fake = try FakeNVML()
        _ = try NvidiaReader(libraryPath: fake.libraryPath).read()
        #expect(fake.calls == ["init", "shutdown"])
    }

    @Test("without the library there are no readings, and that is no failure")
    func noLibrary() throws {
        let reader = NvidiaReader(libraryPath: "/nonexistent/libnvidia-ml.so.1")
        for _ in 0..<5 { #expect(try reader.read().isEmpty) }
    }

    @Test("a library that is installed later is found")
    func installedLater() throws {
        let fake = try FakeNVML()
        let path = fake.libraryPath + ".later"
        let reader = NvidiaReader(libraryPath: path)
        #expect(try reader.read().isEmpty)
        try FileManager.default.moveItem(atPath: fake.libraryPath, toPath: path)
        #expect(try reader.read().count == 2)
    }

    @Test("a file that is no library is a failure that names it")
    func brokenLibrary() throws {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appending(path: "libnvidia-ml.so.1").path
        try "not a library".write(toFile: path, atomically: true, encoding: .utf8)
        let failure = #expect(throws: GPUReadFailure.self) { try NvidiaReader(libraryPath: path).read() }
        #expect(failure?.description.contains(path) == true)
    }

    @Test(
        "a library without a needed function is a failure that tells to update the driver",
        arguments: [
            "nvmlInit_v2", "nvmlDeviceGetCount_v2", "nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetUtilizationRates",
        ])
    func missingFunction(function: String) throws {
        let fake = try FakeNVML(without: function)
        let failure = #expect(throws: GPUReadFailure.self) { try NvidiaReader(libraryPath: fake.libraryPath).read() }
        #expect(failure?.description.contains("update the NVIDIA driver") == true)
    }

    @Test(
        "a library without a function for extras still tells the utilization",
        arguments: ["nvmlDeviceGetName", "nvmlDeviceGetMemoryInfo", "nvmlErrorString", "nvmlShutdown"])
    func missingExtra(function: String) throws {
        let fake = try FakeNVML(without: function)
        #expect(try NvidiaReader(libraryPath: fake.libraryPath).read().map(\.utilization) == [37, 80])
    }

    @Test("extras that fail are left out")
    func failingExtras() throws {
        let fake = try FakeNVML()
        try fake.answer(["count": "1", "name0_code": "999", "memory0_code": "3"])
        #expect(
            try NvidiaReader(libraryPath: fake.libraryPath).read() == [
                GPUReading(index: 0, name: "NVIDIA GPU 0", utilization: 37)
            ])
    }

    @Test("a device that does not support utilization is reported without one")
    func utilizationNotSupported() throws {
        let fake = try FakeNVML()
        try fake.answer(["gpu0_code": "3"])
        #expect(try NvidiaReader(libraryPath: fake.libraryPath).read().map(\.utilization) == [nil, 80])
    }

    @Test("one lost device takes nothing away from the other", arguments: ["device0_code", "gpu0_code"])
    func oneLostDevice(code: String) throws {
        let fake = try FakeNVML()
        try fake.answer([code: "15"])
        #expect(try NvidiaReader(libraryPath: fake.libraryPath).read().map(\.index) == [1])
    }

    @Test("when all devices are lost reading fails with the call, the device and the driver's words")
    func allLost() throws {
        let fake = try FakeNVML()
        try fake.answer(["count": "1", "gpu0_code": "15"])
        #expect(
            throws: GPUReadFailure("nvmlDeviceGetUtilizationRates of GPU 0 failed: GPU is lost (code 15)")
        ) { try NvidiaReader(libraryPath: fake.libraryPath).read() }
    }

    @Test("no device is no failure")
    func noDevice() throws {
        let fake = try FakeNVML()
        try fake.answer(["count": "0"])
        #expect(try NvidiaReader(libraryPath: fake.libraryPath).read().isEmpty)
    }

    @Test("nonsense from the library is cut to size", arguments: ["4294967295", "101"])
    func nonsense(percent: String) throws {
        let fake = try FakeNVML()
        try fake.answer(["count": "4294967295", "gpu0": percent, "name0": String(repeating: "x", count: 200)])
        let readings = try NvidiaReader(libraryPath: fake.libraryPath).read()
        #expect(readings.count == 256)
        #expect(readings.first?.utilization == 100)
        #expect(readings.first?.name == String(repeating: "x", count: 96))
    }

    @Test("a driver that goes away makes reading fail, and is opened afresh when it is back", arguments: ["count_code", "init"])
    func driverLost(code: String) throws {
        let fake = try FakeNVML()
        let reader = NvidiaReader(libraryPath: fake.libraryPath)
        if code == "count_code" { #expect(try reader.read().count == 2) }
        try fake.answer([code: "9"])
        let failure = #expect(throws: GPUReadFailure.self) { try reader.read() }
        #expect(failure?.description.hasSuffix("failed: Driver Not Loaded (code 9)") == true)
        #expect(fake.calls == ["init", "shutdown"])

        try fake.answer([:])
        #expect(try reader.read().map(\.utilization) == [37, 80])
        #expect(fake.calls == ["init", "shutdown", "init"])
    }

    @Test("a driver that stays away is opened ever more rarely, and every reading still says why it failed")
    func pauses() throws {
        let fake = try FakeNVML()
        try fake.answer(["init": "9"])
        let reader = NvidiaReader(libraryPath: fake.libraryPath)
        for _ in 0..<100 {
            #expect(throws: GPUReadFailure("nvmlInit_v2 failed: Driver Not Loaded (code 9)")) { try reader.read() }
        }
        // Readings 1, 2, 4, 8, 16, 32 and 64.
        #expect(fake.calls.count { $0 == "init" } == 7)
    }

    @Test("the pause between two attempts ends at 60 readings")
    func longestPause() {
        var pause = RetryPause()
        var attempts: [Int] = []
        for reading in 1...300 where pause.isOver() {
            attempts.append(reading)
            pause.failed()
        }
        #expect(attempts == [1, 2, 4, 8, 16, 32, 64, 124, 184, 244])
    }
}

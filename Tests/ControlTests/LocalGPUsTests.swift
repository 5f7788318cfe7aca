import Testing

@testable import Control

@Suite("GPUs of this machine") struct LocalGPUsTests {
    private struct FakeReader: GPUReader {
        let name: String
        var answer: Result<[GPUReading], GPUReadFailure>

        func read() throws(GPUReadFailure) -> [GPUReading] { try answer.get() }
    }

    private func reading(_ name: String, _ utilization: Double?) -> GPUReading {
        GPUReading(index: 0, name: name, utilization: utilization)
    }

    @Test("without any GPU the utilization is 0")
    func none() {
        let report = LocalGPUs(readers: [FakeReader(name: "NVIDIA", answer: .success([]))]).read()
        #expect(report == LocalGPUs.Report(readings: [], problems: []))
        #expect(report.utilization == 0)
        #expect(LocalGPUs(readers: []).read().utilization == 0)
    }

    @Test("the busiest GPU of all makers counts")
    func busiest() {
        let report = LocalGPUs(readers: [
            FakeReader(name: "NVIDIA", answer: .success([reading("a", 12), reading("b", nil)])),
            FakeReader(name: "AMD", answer: .success([reading("c", 64.5), reading("d", 3)])),
        ]).read()
        #expect(report.utilization == 64.5)
        #expect(report.readings.map(\.name) == ["a", "b", "c", "d"])
    }

    @Test("a reader that fails is named and takes nothing away from the others")
    func failing() {
        let report = LocalGPUs(readers: [
            FakeReader(name: "NVIDIA", answer: .failure(GPUReadFailure("driver not loaded"))),
            FakeReader(name: "AMD", answer: .success([reading("c", 64)])),
        ]).read()
        #expect(report.problems == ["NVIDIA: driver not loaded"])
        #expect(report.utilization == 64)
    }

    @Test("the readers of this platform can be asked, whatever this machine has")
    func thisMachine() {
        let report = LocalGPUs().read()
        #expect((0...100).contains(report.utilization))
    }
}

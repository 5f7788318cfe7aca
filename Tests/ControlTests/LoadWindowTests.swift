import Testing
import Wire

@testable import Control

@Suite("Load window") struct LoadWindowTests {
    private func window(_ samples: [Double], length: Int = 5) -> LoadWindow {
        var window = LoadWindow(length: length)
        for sample in samples { window.record(sample) }
        return window
    }

    @Test("before the first sample the machine is idle")
    func empty() {
        #expect(LoadWindow().json.text == #"{"status":"idle","gpu_util_max5s":0.0,"window_seconds":5}"#)
    }

    @Test("the highest of the last five samples counts, and older ones are forgotten")
    func forgets() {
        var window = window([97, 10, 20, 0, 5])
        #expect(window.maximum == 97)
        #expect(window.json.text == #"{"status":"busy","gpu_util_max5s":97.0,"window_seconds":5}"#)
        window.record(7)
        #expect(window.maximum == 20)
        #expect(window.json.text == #"{"status":"idle","gpu_util_max5s":20.0,"window_seconds":5}"#)
    }

    @Test("the machine is busy from 50 percent", arguments: [(49.9, false), (50, true), (100, true), (0, false)])
    func limit(sample: Double, isBusy: Bool) {
        #expect(window([sample]).isBusy == isBusy)
    }

    @Test(
        "samples outside of 0 to 100 are cut off",
        arguments: [(-5.0, 0.0), (250, 100), (.infinity, 100), (-.infinity, 0), (.nan, 0)])
    func cutOff(sample: Double, counted: Double) {
        #expect(window([sample]).maximum == counted)
    }

    @Test("the length can be chosen, and is at least one sample", arguments: [(1, 1), (2, 2), (0, 1), (-3, 1)])
    func length(wanted: Int, length: Int) {
        #expect(window([], length: wanted).length == length)
        #expect(window([80] + Array(repeating: 1, count: length), length: wanted).maximum == 1)
        #expect(window([80] + Array(repeating: 1, count: length - 1), length: wanted).maximum == 80)
    }
}

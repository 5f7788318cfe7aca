import Testing

@testable import Wire

@Suite("UTC timestamps") struct UTCTimestampTests {
    @Test(
        "known moments are written as ISO 8601",
        arguments: [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (-86_400, "1969-12-31T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_000_000_000, "2001-09-09T01:46:40Z"),
            (1_709_164_800, "2024-02-29T00:00:00Z"),
            (1_795_464_907, "2026-11-23T20:15:07Z"),
            (2_147_483_648, "2038-01-19T03:14:08Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (-2_203_891_200, "1900-03-01T00:00:00Z"),
            (-11_644_473_600, "1601-01-01T00:00:00Z"),
            (-62_167_219_200, "0000-01-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ])
    func known(seconds: Int, text: String) {
        #expect(UTCTimestamp.text(seconds: seconds) == text)
    }

    @Test("every day of eight centuries follows the one before, by the calendar's rules")
    func everyDay() {
        // 1600-01-01, so that two whole cycles of the leap year rule are walked through.
        var (year, month, day) = (1600, 1, 1)
        var seconds = -11_676_096_000
        while year < 2400 {
            let two = { (number: Int) in (number < 10 ? "0" : "") + String(number) }
            guard UTCTimestamp.text(seconds: seconds) == "\(year)-\(two(month))-\(two(day))T00:00:00Z" else {
                Issue.record("\(year)-\(month)-\(day) became \(UTCTimestamp.text(seconds: seconds))")
                return
            }
            let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
            let lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
            day += 1
            if day > lengths[month - 1] { (month, day) = (month + 1, 1) }
            if month > 12 { (year, month) = (year + 1, 1) }
            seconds += 86_400
        }
    }

    @Test(
        "milliseconds are written with three digits",
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (1_795_464_907_250, "2026-11-23T20:15:07.250Z"),
            (1_007, "1970-01-01T00:00:01.007Z"), (-1, "1969-12-31T23:59:59.999Z"), (-1000, "1969-12-31T23:59:59.000Z"),
        ])
    func milliseconds(milliseconds: Int, text: String) {
        #expect(UTCTimestamp.text(milliseconds: milliseconds) == text)
    }

    @Test("times beyond four digits of a year are written as the nearest ones")
    func extremes() {
        #expect(UTCTimestamp.text(seconds: .min) == "0000-01-01T00:00:00Z")
        #expect(UTCTimestamp.text(seconds: .max) == "9999-12-31T23:59:59Z")
        #expect(UTCTimestamp.text(milliseconds: .min) == "0000-01-01T00:00:00.000Z")
        #expect(UTCTimestamp.text(milliseconds: .max) == "9999-12-31T23:59:59.999Z")
    }
}

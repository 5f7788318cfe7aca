/// Writes points in time as ISO 8601 in UTC, without Foundation and without reading a clock.
///
/// The year has four digits. A time outside of the years 0000 to 9999 is written as the nearest time inside.
package enum UTCTimestamp {
    /// For example `2026-11-23T20:15:07Z`.
    ///
    /// - Parameter seconds: since 1970-01-01T00:00:00Z.
    package static func text(seconds: Int) -> String {
        var writer = ByteWriter()
        let seconds = min(max(seconds, -62_167_219_200), 253_402_300_799)
        writeDateAndTime(seconds, into: &writer)
        writer.write("Z")
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    /// For example `2026-11-23T20:15:07.250Z`.
    ///
    /// - Parameter milliseconds: since 1970-01-01T00:00:00Z.
    package static func text(milliseconds: Int) -> String {
        var writer = ByteWriter()
        var clock = ClockText()
        clock.write(milliseconds: milliseconds, into: &writer)
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    /// - Parameter seconds: in the years 0000 to 9999.
    fileprivate static func writeDateAndTime(_ seconds: Int, into writer: inout ByteWriter) {
        let day = (seconds >= 0 ? seconds : seconds - 86_399) / 86_400
        let second = UInt(seconds - day * 86_400)
        let date = date(ofDay: day)
        writer.writeDecimal(UInt(date.year), digits: 4)
        writer.write("-")
        writer.writeDecimal(UInt(date.month), digits: 2)
        writer.write("-")
        writer.writeDecimal(UInt(date.day), digits: 2)
        writer.write("T")
        writer.writeDecimal(second / 3600, digits: 2)
        writer.write(":")
        writer.writeDecimal(second / 60 % 60, digits: 2)
        writer.write(":")
        writer.writeDecimal(second % 60, digits: 2)
    }

    /// The date in the Gregorian calendar of a day counted from 1970-01-01.
    ///
    /// Years are counted from 1 March. The leap day is then the last day of a year, and all other days have a fixed place.
    private static func date(ofDay day: Int) -> (year: Int, month: Int, day: Int) {
        let daysPerEra = 146_097  // 400 years
        let shifted = day + 719_468  // days since 0000-03-01
        let era = (shifted >= 0 ? shifted : shifted - (daysPerEra - 1)) / daysPerEra
        let dayOfEra = shifted - era * daysPerEra
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / (daysPerEra - 1)) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (
            year: era * 400 + yearOfEra + (month <= 2 ? 1 : 0), month: month,
            day: dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        )
    }
}

/// Writes times. The text of the last second is kept, because most times are in the same second as the previous one.
package struct ClockText: Sendable {
    private var second = Int.min
    private var text: [UInt8] = []

    package init() {}

    /// For example `2026-11-23T20:15:07.250Z`.
    ///
    /// - Parameter milliseconds: since 1970-01-01T00:00:00Z.
    package mutating func write(milliseconds: Int, into writer: inout ByteWriter) {
        let milliseconds = min(max(milliseconds, -62_167_219_200_000), 253_402_300_799_999)
        let second = (milliseconds >= 0 ? milliseconds : milliseconds - 999) / 1000
        if second != self.second {
            var date = ByteWriter()
            UTCTimestamp.writeDateAndTime(second, into: &date)
            date.write(".")
            text = date.bytes
            self.second = second
        }
        writer.write(text)
        writer.writeDecimal(UInt(milliseconds - second * 1000), digits: 3)
        writer.write("Z")
    }
}

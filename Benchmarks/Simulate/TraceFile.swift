import Foundation
import Simulation

/// Mooncake's JSON lines. Reads what their files have, and nothing else; the product reads JSON properly.
enum TraceFile {
    static func read(_ path: String) throws(OptionError) -> [TraceWorkload.Entry] {
        guard let data = FileManager.default.contents(atPath: path) else { throw OptionError("cannot read \(path)") }
        var entries: [TraceWorkload.Entry] = []
        for line in [UInt8](data).split(separator: UInt8(ascii: "\n")) {
            let fields = fields(of: line)
            guard let time = fields["timestamp"]?.first, let prompt = fields["input_length"]?.first,
                let answer = fields["output_length"]?.first, let blocks = fields["hash_ids"]
            else { throw OptionError("line \(entries.count + 1) of \(path) lacks a field") }
            entries.append(
                .init(
                    milliseconds: Double(time), promptTokens: Int(prompt), answerTokens: Int(answer), blocks: blocks))
        }
        return entries
    }

    /// Each name with the whole numbers that follow it.
    private static func fields(of line: ArraySlice<UInt8>) -> [String: [UInt64]] {
        var fields: [String: [UInt64]] = [:]
        var (name, numbers): (String, [UInt64]) = ("", [])
        var index = line.startIndex
        while index < line.endIndex {
            switch line[index] {
            case UInt8(ascii: "\""):
                if !name.isEmpty { fields[name] = numbers }
                let end = line[(index + 1)...].firstIndex(of: UInt8(ascii: "\"")) ?? line.endIndex
                (name, numbers) = (String(decoding: line[(index + 1)..<end], as: UTF8.self), [])
                index = min(end + 1, line.endIndex)
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                var number: UInt64 = 0
                while index < line.endIndex, case UInt8(ascii: "0")...UInt8(ascii: "9") = line[index] {
                    number = number &* 10 &+ UInt64(line[index] - UInt8(ascii: "0"))
                    index += 1
                }
                numbers.append(number)
            default: index += 1
            }
        }
        if !name.isEmpty { fields[name] = numbers }
        return fields
    }
}

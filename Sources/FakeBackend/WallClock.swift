#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The time of day, for the fields of answers that carry one.
enum WallClock {
    static var milliseconds: Int {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Int(now.tv_sec) * 1000 + Int(now.tv_nsec) / 1_000_000
    }

    static var seconds: Int { milliseconds / 1000 }

    /// As Ollama writes it: `2026-11-23T20:22:41Z`.
    static var timestamp: String { formatted("%Y-%m-%dT%H:%M:%SZ") }

    /// As HTTP writes it: `Mon, 23 Nov 2026 20:22:41 GMT`.
    static var httpDate: String { formatted("%a, %d %b %Y %H:%M:%S GMT") }

    private static func formatted(_ format: String) -> String {
        var now = time(nil)
        var parts = tm()
        gmtime_r(&now, &parts)
        let text = [CChar](unsafeUninitializedCapacity: 64) { buffer, count in
            count = buffer.baseAddress.map { strftime($0, buffer.count, format, &parts) } ?? 0
        }
        return String(decoding: text.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

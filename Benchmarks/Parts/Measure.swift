#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

enum Measure {
    /// Each part runs 10,000 times in all.
    static let isSingle = CommandLine.arguments.contains("--once")
}

/// Nanoseconds of one call: the best of many rounds, as everything that disturbs makes it slower.
func nanoseconds(rounds: Int = 30, calls: Int, _ body: () -> Void) -> Double {
    var best = Double.infinity
    let (rounds, calls) = Measure.isSingle ? (1, 10_000) : (rounds, calls)
    for _ in 0..<rounds {
        let duration = ContinuousClock().measure { for _ in 0..<calls { body() } }
        let (seconds, attoseconds) = duration.components
        best = min(best, (Double(seconds) * 1e9 + Double(attoseconds) / 1e9) / Double(calls))
    }
    return best
}

/// Keeps the optimiser from throwing away what is measured.
@inline(never) func use<Value>(_ value: Value) {}

func report(_ part: String, _ figure: Double, _ unit: String) {
    let rounded = (figure * 100).rounded() / 100
    print("\(part): \(rounded) \(unit)")
}

func fail(_ message: String) -> Never {
    print(message)
    exit(2)
}

func write(_ text: String, to path: String) {
    guard let file = fopen(path, "w") else { fail("parts: cannot write \(path)") }
    fputs(text, file)
    fclose(file)
}

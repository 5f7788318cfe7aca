/// A page in the text format that Prometheus scrapes, version 0.0.4.
///
///     var page = PrometheusText()
///     try page.counter("llama_balancer_requests_total", help: "Requests answered.", [.init(17, labels: ["server": "PC1"])])
///     page.text
///
/// Names are checked when a family is added, because a scraper refuses the whole page for one bad line.
/// A family that is refused leaves the page as it was. Label values and help texts may be any text.
package struct PrometheusText: Sendable {
    /// The value of `Content-Type` for such a page.
    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// Names and values, in the order in which they are written: `["server": "PC1", "model": "m"]`.
    package typealias Labels = KeyValuePairs<String, String>

    /// One number of a family.
    package struct Sample: Sendable {
        package var value: Double
        package var labels: Labels

        package init(_ value: Double, labels: Labels = [:]) {
            self.value = value
            self.labels = labels
        }

        package init(_ value: Int, labels: Labels = [:]) {
            self.init(Double(value), labels: labels)
        }
    }

    /// The number of measured values in each interval.
    package struct Histogram: Sendable {
        /// In ascending order, without infinity. A value belongs to the first bound that it does not exceed.
        package var upperBounds: [Double]
        /// How many values belong to each bound (not cumulative), and as the last number how many exceed all bounds.
        package var counts: [Int]
        /// The sum of all values, in the metric's unit.
        package var sum: Double
        package var labels: Labels

        package init(upperBounds: [Double], counts: [Int], sum: Double, labels: Labels = [:]) {
            self.upperBounds = upperBounds
            self.counts = counts
            self.sum = sum
            self.labels = labels
        }
    }

    /// What would make a scraper refuse the page, and where.
    package struct Problem: Error, Equatable, Sendable, CustomStringConvertible {
        package let description: String

        init(_ description: String) { self.description = description }
    }

    /// The page as written so far; every line ends in a line feed.
    package private(set) var text = ""
    private var families: Set<String> = []

    package init() {}

    /// Adds numbers that only grow while the program runs. By custom the name ends in `_total`.
    package mutating func counter(_ name: String, help: String, _ samples: [Sample]) throws(Problem) {
        try addSamples(name, type: "counter", help: help, samples)
    }

    /// Adds numbers that go up and down.
    package mutating func gauge(_ name: String, help: String, _ samples: [Sample]) throws(Problem) {
        try addSamples(name, type: "gauge", help: help, samples)
    }

    /// Adds distributions: for each one its cumulative buckets, its sum and its count.
    package mutating func histogram(_ name: String, help: String, _ histograms: [Histogram]) throws(Problem) {
        var family = try Family(name, type: "histogram", help: help)
        for histogram in histograms {
            guard histogram.counts.count == histogram.upperBounds.count + 1 else {
                throw Problem(
                    "histogram \(name): \(histogram.upperBounds.count) bounds need one count more, "
                        + "not \(histogram.counts.count)")
            }
            guard histogram.upperBounds.allSatisfy(\.isFinite),
                zip(histogram.upperBounds, histogram.upperBounds.dropFirst()).allSatisfy({ $0 < $1 })
            else { throw Problem("histogram \(name): bounds must be finite and ascend: \(histogram.upperBounds)") }

            var cumulative = 0
            for (bound, count) in zip(histogram.upperBounds + [.infinity], histogram.counts) {
                cumulative += count
                try family.add(
                    suffix: "_bucket", histogram.labels, and: ("le", Self.number(bound)), Double(cumulative))
            }
            try family.add(suffix: "_sum", histogram.labels, histogram.sum)
            try family.add(suffix: "_count", histogram.labels, Double(cumulative))
        }
        try append(family)
    }

    private mutating func addSamples(
        _ name: String, type: String, help: String, _ samples: [Sample]
    ) throws(Problem) {
        var family = try Family(name, type: type, help: help)
        for sample in samples { try family.add(sample.labels, sample.value) }
        try append(family)
    }

    private mutating func append(_ family: Family) throws(Problem) {
        guard families.insert(family.name).inserted else {
            throw Problem("metric \(family.name) is on the page already; give all its samples in one call")
        }
        text += family.text
    }

    /// The number in the form that Prometheus reads: whole numbers without a fraction, `NaN`, `+Inf`, `-Inf`.
    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        return Int(exactly: value).map { String($0) } ?? String(value)
    }
}

/// The lines of one metric.
private struct Family {
    let name: String
    private let isHistogram: Bool
    private(set) var text: String

    init(_ name: String, type: String, help: String) throws(PrometheusText.Problem) {
        guard isMetricName(name) else {
            throw PrometheusText.Problem(
                "\"\(name)\" is no metric name: letters, digits, underscores and colons only, and no digit first")
        }
        self.name = name
        isHistogram = type == "histogram"
        text = "# HELP \(name) \(escaped(help, quotes: false))\n# TYPE \(name) \(type)\n"
    }

    mutating func add(
        suffix: String = "", _ labels: PrometheusText.Labels, and last: (name: String, value: String)? = nil,
        _ value: Double
    ) throws(PrometheusText.Problem) {
        var names: Set<String> = []
        for (label, _) in labels {
            guard isLabelName(label), !(isHistogram && label == "le"), names.insert(label).inserted else {
                throw PrometheusText.Problem(
                    "metric \(name): \"\(label)\" cannot be used as a label: letters, digits and underscores only, no "
                        + "digit first, not two underscores first, not twice, and not \"le\" in a histogram")
            }
        }
        let pairs = labels.map { ($0.key, $0.value) } + (last.map { [$0] } ?? [])
        text += name + suffix
        if !pairs.isEmpty {
            text += "{" + pairs.map { "\($0)=\"\(escaped($1, quotes: true))\"" }.joined(separator: ",") + "}"
        }
        text += " \(PrometheusText.number(value))\n"
    }
}

/// `[a-zA-Z_:][a-zA-Z0-9_:]*`
private func isMetricName(_ name: String) -> Bool {
    isName(name, also: UInt8(ascii: ":"))
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`, except names that begin with two underscores: those are reserved for Prometheus.
private func isLabelName(_ name: String) -> Bool {
    isName(name, also: nil) && !name.hasPrefix("__")
}

private func isName(_ name: String, also extra: UInt8?) -> Bool {
    guard let first = name.utf8.first, !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else { return false }
    return name.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
            true
        default: byte == extra
        }
    }
}

/// Backslashes and line feeds are escaped, and in label values quotes too.
private func escaped(_ text: String, quotes: Bool) -> String {
    var result = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\\": result.append(contentsOf: "\\\\".unicodeScalars)
        case "\n": result.append(contentsOf: "\\n".unicodeScalars)
        case "\"" where quotes: result.append(contentsOf: "\\\"".unicodeScalars)
        default: result.append(scalar)
        }
    }
    return String(result)
}

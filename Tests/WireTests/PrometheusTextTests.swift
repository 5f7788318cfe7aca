import Testing

@testable import Wire

@Suite("Prometheus text") struct PrometheusTextTests {
    @Test("counters and gauges are written with their help, type, labels and numbers")
    func countersAndGauges() throws {
        var page = PrometheusText()
        try page.counter(
            "llama_balancer_requests_total", help: "Requests answered.",
            [
                .init(17, labels: ["server": "PC1", "model": "gpt-oss:20b"]),
                .init(0, labels: ["server": "PC2", "model": "gemma3"]),
            ])
        try page.gauge("llama_balancer_waiting", help: "Requests in the queue.", [.init(3)])
        #expect(
            page.text == """
                # HELP llama_balancer_requests_total Requests answered.
                # TYPE llama_balancer_requests_total counter
                llama_balancer_requests_total{server="PC1",model="gpt-oss:20b"} 17
                llama_balancer_requests_total{server="PC2",model="gemma3"} 0
                # HELP llama_balancer_waiting Requests in the queue.
                # TYPE llama_balancer_waiting gauge
                llama_balancer_waiting 3

                """)
    }

    @Test("a histogram is written with cumulative buckets, sum and count")
    func histogram() throws {
        var page = PrometheusText()
        try page.histogram(
            "ttft_seconds", help: "Time to first token.",
            [.init(upperBounds: [0.1, 1, 10], counts: [2, 0, 3, 1], sum: 27.25, labels: ["server": "PC1"])])
        #expect(
            page.text == """
                # HELP ttft_seconds Time to first token.
                # TYPE ttft_seconds histogram
                ttft_seconds_bucket{server="PC1",le="0.1"} 2
                ttft_seconds_bucket{server="PC1",le="1"} 2
                ttft_seconds_bucket{server="PC1",le="10"} 5
                ttft_seconds_bucket{server="PC1",le="+Inf"} 6
                ttft_seconds_sum{server="PC1"} 27.25
                ttft_seconds_count{server="PC1"} 6

                """)
    }

    @Test("a histogram without labels has only its bounds as labels")
    func histogramWithoutLabels() throws {
        var page = PrometheusText()
        try page.histogram("h", help: "", [.init(upperBounds: [], counts: [4], sum: 2)])
        #expect(page.text == "# HELP h \n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 4\nh_sum 2\nh_count 4\n")
    }

    @Test("a family without samples is still announced")
    func noSamples() throws {
        var page = PrometheusText()
        try page.gauge("g", help: "Nothing yet.", [])
        #expect(page.text == "# HELP g Nothing yet.\n# TYPE g gauge\n")
    }

    @Test("label values and help texts are escaped, so that no text can break the page")
    func escaping() throws {
        var page = PrometheusText()
        try page.gauge("g", help: "a\\b\nc \"d\"", [.init(1, labels: ["model": "x\"} 1\ng{y=\"\\z", "user": "田中\r\n"])])
        #expect(
            page.text
                == "# HELP g a\\\\b\\nc \"d\"\n# TYPE g gauge\n"
                + "g{model=\"x\\\"} 1\\ng{y=\\\"\\\\z\",user=\"田中\r\\n\"} 1\n")
    }

    @Test(
        "numbers are written as Prometheus reads them",
        arguments: [
            (0.0, "0"), (-0.0, "0"), (5, "5"), (-3, "-3"), (0.25, "0.25"), (1e15, "1000000000000000"), (1e300, "1e+300"),
            (1.5e-7, "1.5e-07"), (.infinity, "+Inf"), (-.infinity, "-Inf"), (.nan, "NaN"),
        ])
    func numbers(value: Double, text: String) {
        #expect(PrometheusText.number(value) == text)
    }

    @Test("names that Prometheus does not know are refused", arguments: ["", "9lives", "a-b", "a b", "a\nb", "ä", "a{b"])
    func badNames(name: String) {
        var page = PrometheusText()
        #expect(throws: PrometheusText.Problem.self) { try page.counter(name, help: "", []) }
        #expect(page.text.isEmpty)
    }

    @Test("names may have colons, underscores and digits", arguments: ["a", "_x", ":y", "A9_b:c"])
    func goodNames(name: String) throws {
        var page = PrometheusText()
        try page.counter(name, help: "", [.init(1)])
        #expect(page.text.hasSuffix("\n\(name) 1\n"))
    }

    @Test(
        "label names that Prometheus does not know, or keeps for itself, are refused",
        arguments: ["", "1a", "a:b", "a-b", "__name__", "a\"b"])
    func badLabels(label: String) {
        var page = PrometheusText()
        let problem = #expect(throws: PrometheusText.Problem.self) {
            try page.gauge("g", help: "", [.init(1, labels: [label: "x"])])
        }
        #expect(problem?.description.hasPrefix("metric g: \"\(label)\"") == true)
        #expect(page.text.isEmpty)
    }

    @Test("a label twice, or le in a histogram, is refused")
    func clashingLabels() throws {
        var page = PrometheusText()
        #expect(throws: PrometheusText.Problem.self) { try page.gauge("g", help: "", [.init(1, labels: ["a": "1", "a": "2"])]) }
        #expect(throws: PrometheusText.Problem.self) {
            try page.histogram("h", help: "", [.init(upperBounds: [1], counts: [0, 0], sum: 0, labels: ["le": "1"])])
        }
        try page.gauge("g", help: "", [.init(1, labels: ["le": "1"])])
        #expect(page.text.hasSuffix("g{le=\"1\"} 1\n"))
    }

    @Test("the same metric twice is refused, and the first one stays")
    func twice() throws {
        var page = PrometheusText()
        try page.gauge("g", help: "first", [.init(1)])
        let before = page.text
        #expect(throws: PrometheusText.Problem.self) { try page.counter("g", help: "second", [.init(2)]) }
        #expect(page.text == before)
    }

    @Test("histograms whose bounds and counts do not fit are refused")
    func badHistograms() {
        let bad: [PrometheusText.Histogram] = [
            .init(upperBounds: [1, 2], counts: [1, 2], sum: 0), .init(upperBounds: [2, 1], counts: [0, 0, 0], sum: 0),
            .init(upperBounds: [1, 1], counts: [0, 0, 0], sum: 0), .init(upperBounds: [.infinity], counts: [0, 0], sum: 0),
            .init(upperBounds: [.nan], counts: [0, 0], sum: 0),
        ]
        for histogram in bad {
            var page = PrometheusText()
            #expect(throws: PrometheusText.Problem.self) { try page.histogram("h", help: "", [histogram]) }
            #expect(page.text.isEmpty)
        }
    }
}

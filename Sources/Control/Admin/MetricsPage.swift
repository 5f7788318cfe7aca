import Proxy
import Routing
import Wire

/// `GET /metrics`.
enum MetricsPage {
    static func text(
        counters: Counters, fleet: FleetSnapshot, decisionTimes: DecisionTimes,
        certificates: [ConfigurationBoard.Certificate] = [], wallMilliseconds: Int = 0
    ) -> [UInt8] {
        var page = PrometheusText()
        // This can only fail because of a malformed name below, which a test would find.
        do {
            try write(counters, fleet, to: &page)
            try write(decisionTimes, to: &page)
            try page.gauge(
                "llama_balancer_certificate_days_left", help: "Days until a listener's certificate ends.",
                certificates.map {
                    .init($0.daysLeft(at: wallMilliseconds), labels: ["listener": $0.listener, "file": $0.path])
                })
        } catch {
            return Array("# \(error)\n".utf8)
        }
        return Array(page.text.utf8)
    }

    private static func write(
        _ counters: Counters, _ fleet: FleetSnapshot, to page: inout PrometheusText
    ) throws(PrometheusText.Problem) {
        try page.counter(
            "llama_balancer_requests_total", help: "Proxied requests that ended, by class of the status sent.",
            counters.requestsByStatusClass.enumerated().dropFirst().map { index, count in
                .init(count, labels: ["class": "\(index)xx"])
            })
        try page.counter(
            "llama_balancer_clients_gone_total", help: "Requests whose client left before the end.", [.init(counters.clientsGone)]
        )
        try page.counter(
            "llama_balancer_answers_broken_total", help: "Answers that a server broke in the middle.",
            [.init(counters.answersBroken)])
        try page.counter(
            "llama_balancer_retries_total", help: "Attempts after the first.", [.init(counters.retries)])
        try page.counter(
            "llama_balancer_upstream_connects_total", help: "Connections opened to servers.", [.init(counters.connects)])
        try page.counter(
            "llama_balancer_received_bytes_total", help: "Bytes of requests received.", [.init(counters.bytesReceived)])
        try page.counter(
            "llama_balancer_sent_bytes_total", help: "Bytes of answers sent.", [.init(counters.bytesSent)])
        try page.counter(
            "llama_balancer_connections_accepted_total", help: "Client connections accepted.",
            [.init(counters.connectionsAccepted)])
        try page.counter(
            "llama_balancer_tls_handshakes_failed_total", help: "Client connections that did not finish the TLS handshake.",
            [.init(counters.failedHandshakes)])
        try page.counter(
            "llama_balancer_wrong_keys_total", help: "Requests with a key that is not known, or cannot be read.",
            [.init(counters.wrongKeys)])
        try page.gauge(
            "llama_balancer_client_connections", help: "Client connections open.", [.init(counters.clientConnections)])
        try page.gauge(
            "llama_balancer_detached_streams", help: "Resumable streams that go on without their clients.",
            [.init(counters.detachedStreams)])
        try page.counter(
            "llama_balancer_access_log_dropped_lines_total", help: "Lines of the access log that could not be written.",
            [.init(counters.logLinesDropped)])
        try write(fleet.totals, fleet.predictions, to: &page)
        try page.gauge("llama_balancer_waiting", help: "Requests waiting for a server.", [.init(fleet.waitingCount)])
        try page.gauge("llama_balancer_running", help: "Requests granted a server.", [.init(fleet.runningCount)])
        try page.gauge("llama_balancer_sticky_entries", help: "Clients held to a server.", [.init(fleet.sessionCount)])
        try page.gauge(
            "llama_balancer_server_up", help: "1 while the server gets work.",
            samples(fleet) { server in
                if case .down = server.phase { 0 } else { 1 }
            })
        try page.gauge(
            "llama_balancer_server_circuits_open", help: "Models whose requests failed there several times in a row.",
            samples(fleet) { Double($0.failing.count) })
        try page.gauge(
            "llama_balancer_server_busy", help: "1 while the server's machine is busy.", samples(fleet) { $0.isBusy ? 1 : 0 })
        try page.gauge(
            "llama_balancer_server_draining", help: "1 while the server gets no new work.",
            samples(fleet) { $0.isDraining || $0.isRemoved ? 1 : 0 })
        try page.gauge(
            "llama_balancer_server_in_flight", help: "Requests in flight on the server.",
            samples(fleet) { Double($0.inFlight) })
        try page.gauge(
            "llama_balancer_server_limit", help: "Most requests in flight there.", samples(fleet) { $0.limit.map(Double.init) })
        try page.gauge(
            "llama_balancer_server_gpu_utilisation_percent", help: "As the server told last.",
            samples(fleet) { $0.lastReport?.gpuUtilisation })
        try page.gauge(
            "llama_balancer_server_prefill_tokens_per_second", help: "Learnt from answers.",
            samples(fleet) { $0.prefillTokensPerSecond })
        try page.gauge(
            "llama_balancer_server_decode_tokens_per_second", help: "Learnt from answers.",
            samples(fleet) { $0.decodeTokensPerSecond })
    }

    private static func write(
        _ totals: RoutingTotals, _ predictions: PredictionErrors, to page: inout PrometheusText
    ) throws(PrometheusText.Problem) {
        try page.counter(
            "llama_balancer_prompt_tokens_total",
            help:
                "Prompt tokens by source: cached, or computed because they were new, moved to another server, or lost from the cache.",
            [
                .init(totals.cachedTokens, labels: ["source": "cached"]), .init(totals.newTokens, labels: ["source": "new"]),
                .init(totals.movedTokens, labels: ["source": "moved"]), .init(totals.lostTokens, labels: ["source": "lost"]),
            ])
        try page.counter(
            "llama_balancer_cache_forecasts_total", help: "Granted requests, by what their server should find in its cache.",
            [
                .init(totals.hits, labels: ["result": "hit"]), .init(totals.misses, labels: ["result": "miss"]),
                .init(totals.moves, labels: ["result": "moved"]),
            ])
        try page.counter(
            "llama_balancer_waited_seconds_total", help: "Time that granted requests have waited for a server.",
            [.init(totals.waitedSeconds)])
        try page.gauge(
            "llama_balancer_first_token_prediction_error_seconds",
            help: "Actual less predicted time to first token, quantiles of the last 512 streams.",
            predictions.quantiles([0.1, 0.5, 0.9]).map { .init($0.seconds, labels: ["quantile": "\($0.quantile)"]) })
    }

    private static func write(_ times: DecisionTimes, to page: inout PrometheusText) throws(PrometheusText.Problem) {
        try page.histogram(
            "llama_balancer_decision_seconds", help: "Time that the router took to decide about an arriving request.",
            [.init(upperBounds: DecisionTimes.upperBounds, counts: times.counts, sum: times.sum)])
    }

    private static func samples(
        _ fleet: FleetSnapshot, _ value: (FleetSnapshot.Server) -> Double?
    ) -> [PrometheusText.Sample] {
        fleet.servers.compactMap { server in value(server).map { .init($0, labels: ["server": server.name]) } }
    }
}

-- wrk script: POST the file named after `--` as a chat, and print the figures as one line of JSON.
--   wrk … -s chat.lua http://host:port/v1/chat/completions -- body.json [close]

function init(arguments)
    local file = assert(io.open(arguments[1], "rb"))
    wrk.method = "POST"
    wrk.body = file:read("*a")
    wrk.headers["Content-Type"] = "application/json"
    if arguments[2] == "close" then wrk.headers["Connection"] = "close" end
    file:close()
    prepared = wrk.format()
end

function request() return prepared end

function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        '\nRESULT {"requests": %d, "seconds": %.6f, "p50_us": %d, "p99_us": %d, "errors": %d, "bad_statuses": %d}\n',
        summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
        errors.connect + errors.read + errors.write + errors.timeout, errors.status))
end

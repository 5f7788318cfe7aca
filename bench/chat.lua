-- wrk script: POST the file named after `--` as a chat, and print the figures as one line of JSON.
--   wrk … -s chat.lua http://host:port/v1/chat/completions -- body.json [close | rotate COUNT FROM]
--
-- close: a new connection for every request. rotate: COUNT clients take turns, beginning with number FROM; each has its own
-- session, and its number in the place of every 0000000 in the body.

function init(arguments)
    local file = assert(io.open(arguments[1], "rb"))
    wrk.method = "POST"
    wrk.body = file:read("*a")
    wrk.headers["Content-Type"] = "application/json"
    if arguments[2] == "close" then wrk.headers["Connection"] = "close" end
    if arguments[2] == "rotate" then
        wrk.headers["X-Session-Id"] = "session-0000000"
        count, number = tonumber(arguments[3]), tonumber(arguments[4])
        request = rotating_request
    end
    file:close()
    prepared = wrk.format()
    parts = {}
    for part in (prepared .. "0000000"):gmatch("(.-)0000000") do parts[#parts + 1] = part end
end

function request() return prepared end

function rotating_request()
    local text = table.concat(parts, string.format("%07d", number % count))
    number = number + 1
    return text
end

function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        '\nRESULT {"requests": %d, "seconds": %.6f, "p50_us": %d, "p99_us": %d, "errors": %d, "bad_statuses": %d}\n',
        summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
        errors.connect + errors.read + errors.write + errors.timeout, errors.status))
end

// The page of llama-balancer. No library, no build step.
//
// Every text that comes from outside (models, clients, reasons …) is set with textContent, never as HTML:
// a client chooses its own name and its model's name.
"use strict";

const SNAPSHOT = { path: "llmhealth-snapshot", everyMs: 1000 };
const STATISTICS = { path: "access-log-stats", everyMs: 10_000 };
const ANSWER_LIMIT_MS = 5000;
const CHART_MINUTES = 120;
const ROWS_SHOWN = 100;
const RANKS_SHOWN = 10;
const NOTHING = "–";

// Elements

const byId = (id) => document.getElementById(id);
const field = (root, name) => root.querySelector(`[data-field="${name}"]`);
const copyOf = (templateId) => byId(templateId).content.cloneNode(true);

/** Leaves an unchanged text alone, so that a selection in it survives. */
function setText(element, text) {
    if (element.textContent !== text) element.textContent = text;
}

function setTone(element, tone) {
    if (tone) element.dataset.tone = tone;
    else delete element.dataset.tone;
}

/** Makes the children of `list` show `items` in order. Children of known keys are kept and only filled afresh. */
function fillList(list, templateId, items, keyOf, fill) {
    const keys = items.map((item, position) => String(keyOf(item, position)));
    const wanted = new Set(keys);
    const known = new Map();
    for (const child of [...list.children]) {
        if (wanted.has(child.dataset.key)) known.set(child.dataset.key, child);
        else child.remove();
    }
    items.forEach((item, position) => {
        const child = known.get(keys[position]) ?? copyOf(templateId).firstElementChild;
        known.delete(keys[position]);
        child.dataset.key = keys[position];
        fill(child, item, position);
        if (list.children[position] !== child) list.insertBefore(child, list.children[position] ?? null);
    });
    while (list.children.length > items.length) list.lastElementChild.remove();
}

/** Fills the table of a section with at most `ROWS_SHOWN` rows, or shows its text for "none". */
function fillTable(section, templateId, items, keyOf, fill) {
    section.querySelector(".empty").hidden = items.length > 0;
    section.querySelector("table").hidden = items.length === 0;
    fillList(section.querySelector("tbody"), templateId, items.slice(0, ROWS_SHOWN), keyOf, fill);
    showMore(section.querySelector(".more"), items.length - ROWS_SHOWN);
}

function showMore(element, count) {
    if (!element) return;
    element.hidden = count <= 0;
    setText(element, `and ${number(count)} more`);
}

/** A text with a bar below it; no bar when `share` (0 to 1) is null. */
function setLevel(element, text, share, tone) {
    if (!element.firstElementChild) element.append(copyOf("level"));
    setText(field(element, "text"), text);
    element.querySelector(".track").hidden = share === null;
    element.querySelector(".fill").style.width = `${100 * Math.min(Math.max(share ?? 0, 0), 1)}%`;
    setTone(element, tone);
}

function setChips(element, texts) {
    fillList(element, "chip", texts, (_, position) => position, setText);
}

// Formats

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const asList = (value) => (Array.isArray(value) ? value : []);
const asObject = (value) => (value !== null && typeof value === "object" ? value : {});
const asText = (value) => (typeof value === "string" && value !== "" ? value : NOTHING);

const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const number = (value) => (isNumber(value) ? grouped.format(value) : NOTHING);
const speed = (value) => (isNumber(value) && value < 10 ? value.toFixed(1) : number(value));
const plural = (count, one, many) => `${number(count)} ${count === 1 ? one : many}`;

function clock(moment, withSeconds = true) {
    const options = { hour: "2-digit", minute: "2-digit", second: withSeconds ? "2-digit" : undefined };
    return new Date(moment).toLocaleTimeString("en-GB", options);
}

function duration(ms) {
    if (!isNumber(ms)) return NOTHING;
    const seconds = Math.max(0, Math.round(ms / 1000));
    if (seconds < 60) return `${seconds} s`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
    return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** How long ago, by the balancer's own clock: this computer's may be wrong. */
function ago(timestamp, now) {
    const moment = Date.parse(timestamp);
    return isNumber(moment) ? `${duration(now - moment)} ago` : NOTHING;
}

// What the balancer does now

const TONE_OF_STATE = { up: "good", suspect: "warn", down: "bad" };

/** Our own word for a server's state; an original balancer's answer has only the status. */
const stateOf = (backend) => backend.state ?? (backend.status === "invalid" ? "down" : "up");

const isUp = (backend) => ["up", "suspect"].includes(stateOf(backend));

function fillServer(row, backend, servers, now) {
    const known = asObject(servers[backend.name]);
    setText(field(row, "name"), asText(backend.name ?? backend.base));
    setText(field(row, "kind"), backend.kind ?? "");
    setText(field(row, "address"), known.model_base ?? backend.base ?? "");
    field(row, "address").title = `${known.model_base ?? ""}\nHealth is read from ${backend.base ?? NOTHING}`.trim();

    setText(field(row, "state"), asText(stateOf(backend)));
    setTone(field(row, "state"), TONE_OF_STATE[stateOf(backend)] ?? "none");
    field(row, "draining").hidden = backend.draining !== true;
    setText(field(row, "reason"), backend.reason ?? "");

    const gpu = backend.last?.gpu_util_max5s;
    const reports = backend.status !== "invalid";
    const load = reports ? asText(backend.status) : "no report";
    if (reports && isNumber(gpu)) {
        setLevel(field(row, "gpu"), `${number(gpu)} % ${load}`, gpu / 100, gpu >= 50 ? "warn" : "accent");
    } else {
        setLevel(field(row, "gpu"), load, null);
    }

    const slots = asObject(backend.slots);
    setShare(field(row, "in-flight"), backend.total_inflight, backend.request_max);
    setShare(field(row, "slots"), slots.busy, slots.total);
    setChips(
        field(row, "models"),
        Object.entries(asObject(backend.model_inflight)).filter(([, count]) => count > 0)
            .map(([model, count]) => `${model} × ${number(count)}`));
    setText(field(row, "prefill"), speed(backend.prefill_tokens_per_second));
    setText(field(row, "decode"), speed(backend.decode_tokens_per_second));
    setText(field(row, "updated"), ago(backend.last?.updated_at, now));
}

/** "3 / 4" with a bar, or just the number where there is no limit. */
function setShare(element, count, limit) {
    if (isNumber(limit) && limit > 0) {
        setLevel(element, `${number(count)} / ${number(limit)}`, count / limit, count >= limit ? "warn" : "accent");
    } else {
        setLevel(element, number(count), null);
    }
}

/** A sticky entry's key is "client|model"; both parts may contain a bar. */
function clientOf(entry) {
    const end = `|${entry.model}`;
    return entry.key?.endsWith(end) ? entry.key.slice(0, -end.length) : entry.ip;
}

function drawSnapshot(snapshot) {
    if (!Array.isArray(snapshot.backends)) throw new Error("its answer has no list of servers");
    const now = Date.parse(snapshot.now) || Date.now();
    const backends = snapshot.backends.map(asObject);
    const servers = asObject(snapshot.servers);
    const waiting = asObject(snapshot.waiting);
    const waitingRequests = asList(waiting.requests).map(asObject);
    const waitingCount = waiting.count ?? waitingRequests.length;
    const sticky = asList(snapshot.sticky).map(asObject);
    const serverAt = new Map(Object.entries(servers).map(([name, server]) => [server?.model_base, name]));

    const up = backends.filter(isUp).length;
    const upText = `${number(up)} of ${number(backends.length)}`;
    setText(byId("tile-servers"), upText);
    setTone(byId("tile-servers"), up === backends.length ? null : up === 0 ? "bad" : "warn");
    const inFlight = backends.map((backend) => backend.total_inflight).filter(isNumber);
    setText(byId("tile-in-flight"), number(inFlight.reduce((sum, count) => sum + count, 0)));
    setText(byId("tile-waiting"), number(waitingCount));
    setTone(byId("tile-waiting"), waitingCount > 0 ? "warn" : null);
    setText(byId("tile-sticky"), number(snapshot.sticky_count ?? sticky.length));
    const local = asObject(snapshot.local);
    setText(byId("tile-local"), `GPU ${number(local.gpu_util_max5s)} %`);
    setText(byId("tile-local-status"), asText(local.status));
    setTone(byId("tile-local"), local.status === "busy" ? "warn" : null);
    document.title = `${upText} up · llama-balancer`;

    fillTable(byId("servers"), "server-row", backends, (backend) => backend.name ?? backend.base,
        (row, backend) => fillServer(row, backend, servers, now));

    fillTable(byId("waiting"), "waiting-row", waitingRequests, (request) => request.id, (row, request) => {
        setText(field(row, "client"), asText(request.client));
        setText(field(row, "model"), asText(request.model));
        setText(field(row, "waited"), duration(request.waited_ms));
        setText(field(row, "ahead"), number(request.ahead));
        setText(field(row, "id"), String(request.id ?? NOTHING));
    });

    sticky.sort((a, b) => (Date.parse(b.updated_at) || 0) - (Date.parse(a.updated_at) || 0));
    fillTable(byId("sticky"), "sticky-row", sticky, (entry) => entry.key, (row, entry) => {
        setText(field(row, "client"), asText(clientOf(entry)));
        setText(field(row, "model"), asText(entry.model));
        setText(field(row, "server"), asText(serverAt.get(entry.backend) ?? entry.backend));
        setText(field(row, "age"), ago(entry.updated_at, now));
    });

    fillTable(byId("routes"), "route-row", Object.entries(asObject(snapshot.models)), ([pattern]) => pattern,
        (row, [pattern, names]) => {
            setText(field(row, "pattern"), pattern);
            setChips(field(row, "servers"), asList(names).map(String));
        });

    drawConfiguration(asObject(snapshot.config));
}

function drawConfiguration(config) {
    const problems = byId("configuration-problems");
    problems.hidden = !config.error;
    setText(field(problems, "problems"), config.error ?? "");
    const loaded = Date.parse(config.loaded_at);
    const since = new Date(loaded).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });
    setText(
        byId("configuration"),
        (config.file ? `Configuration: ${config.file}` : "Servers named on the command line")
            + (isNumber(loaded) ? `, in force since ${since}` : ""));
    setText(byId("certificates"), asList(config.certificates).map(asObject).map(certificateText).join(" "));
}

function certificateText({ listener, file, days_left: days }) {
    const when = days < 0 ? "has ended" : days < 1 ? "ends today" : `is valid for ${days} more ${days < 2 ? "day" : "days"}`;
    return `The certificate of ${listener} (${file}) ${when}.`;
}

// Statistics

/** Requests by minute (milliseconds since 1970), also those older than the balancer's own hour. */
const requestsByMinute = new Map();

function drawStatistics(statistics) {
    const section = byId("statistics");
    section.querySelector(".empty").hidden = true;
    section.querySelector(".body").hidden = false;
    setText(byId("tile-requests"), number(statistics.total_requests));
    setText(
        byId("totals"),
        [
            `${plural(statistics.total_requests, "request", "requests")} in the last hour`,
            plural(statistics.unique_ips, "client address", "client addresses"),
            plural(statistics.unique_models, "model", "models"),
            plural(statistics.unique_usernames, "user name", "user names"),
        ].join(" · "));
    drawChart(asObject(statistics.time_series));
    drawRanking(byId("by-model"), statistics.model_counts);
    drawRanking(byId("by-client"), statistics.ip_counts);
    drawRanking(byId("by-user"), statistics.username_counts);
}

function drawChart(timeSeries) {
    const minute = 60_000;
    for (const [timestamp, count] of Object.entries(timeSeries)) {
        const moment = Date.parse(timestamp);
        if (isNumber(moment) && isNumber(count)) requestsByMinute.set(moment, count);
    }
    // The balancer's clock where it is ahead of this computer's.
    const last = Math.max(Math.floor(Date.now() / minute) * minute, ...requestsByMinute.keys());
    const first = last - (CHART_MINUTES - 1) * minute;
    for (const moment of requestsByMinute.keys()) if (moment < first) requestsByMinute.delete(moment);

    const moments = Array.from({ length: CHART_MINUTES }, (_, position) => first + position * minute);
    const highest = Math.max(1, ...requestsByMinute.values());
    const plot = document.querySelector(".plot");
    setText(plot.querySelector(".limit"), number(highest));
    plot.setAttribute("aria-label", `Requests a minute over the last two hours, at most ${number(highest)}`);
    fillList(plot.querySelector(".columns"), "column", moments, (moment) => moment, (column, moment) => {
        const count = requestsByMinute.get(moment) ?? 0;
        column.title = `${clock(moment, false)}: ${plural(count, "request", "requests")}`;
        column.firstElementChild.style.height = `${(100 * count) / highest}%`;
    });
    const marks = [0, 30, 60, 90, CHART_MINUTES - 1].map((position) => clock(moments[position], false));
    fillList(document.querySelector(".axis"), "axis-mark", marks, (_, position) => position, setText);
}

function drawRanking(block, counts) {
    const entries = Object.entries(asObject(counts)).sort(([, a], [, b]) => b - a);
    const highest = Math.max(1, ...entries.map(([, count]) => count));
    block.querySelector(".empty").hidden = entries.length > 0;
    const shown = entries.slice(0, RANKS_SHOWN);
    fillList(block.querySelector("ol"), "ranking-row", shown, ([name]) => name, (row, [name, count]) => {
        setText(field(row, "name"), name);
        field(row, "name").title = name;
        setText(field(row, "count"), number(count));
        row.querySelector(".fill").style.width = `${(100 * count) / highest}%`;
    });
    showMore(block.querySelector(".more"), entries.length - RANKS_SHOWN);
}

// Asking

async function getJSON(path) {
    const response = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(ANSWER_LIMIT_MS) });
    if (!response.ok) throw new Error(`it answered ${response.status} ${response.statusText}`.trim());
    return asObject(await response.json());
}

let lastAnswer = null;

async function updateSnapshot() {
    try {
        drawSnapshot(await getJSON(SNAPSHOT.path));
        lastAnswer = Date.now();
        showConnection(null);
    } catch (error) {
        showConnection(error);
    }
}

async function updateStatistics() {
    try {
        drawStatistics(await getJSON(STATISTICS.path));
    } catch (error) {
        // A balancer that is gone is told by the banner above; this is for one that has no statistics.
        const note = byId("statistics").querySelector(".empty");
        note.hidden = requestsByMinute.size > 0;
        byId("statistics").querySelector(".body").hidden = requestsByMinute.size === 0;
        setText(note, `No statistics: ${error.message}.`);
    }
}

function showConnection(error) {
    const banner = byId("offline");
    const freshness = byId("freshness");
    banner.hidden = error === null;
    byId("content").classList.toggle("stale", error !== null);
    if (lastAnswer !== null) byId("content").hidden = false;
    setTone(freshness, error ? "bad" : "good");
    if (error === null) {
        setText(field(freshness, "text"), `Live · ${clock(lastAnswer)}`);
        return;
    }
    const since = lastAnswer === null ? "" : ` since ${clock(lastAnswer)}; below is what it said then`;
    setText(banner, `No usable answer from the balancer${since}. Trying again all the time. (${error.message})`);
    setText(field(freshness, "text"), "Not connected");
    document.title = "Not connected · llama-balancer";
}

/** Repeats work for ever, one run at a time, and rests while nobody sees the page. */
async function repeat(work, everyMs) {
    for (;;) {
        await work();
        await new Promise((done) => setTimeout(done, everyMs));
        if (document.hidden) {
            await new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }));
        }
    }
}

repeat(updateSnapshot, SNAPSHOT.everyMs);
repeat(updateStatistics, STATISTICS.everyMs);

// What the parts of the balancer cost by themselves: no sockets, no threads, one figure each.
//   parts [scan|heads|decisions|prices|short-chat] [--json FILE] [--once]     everything by default; FILE gets the decision times, for bench/growth.py
//   --once: each part a few times only, for valgrind

var arguments = Array(CommandLine.arguments.dropFirst())
var jsonPath: String?
if let flag = arguments.firstIndex(of: "--json"), flag + 1 < arguments.count {
    jsonPath = arguments[flag + 1]
    arguments.removeSubrange(flag...(flag + 1))
}
arguments.removeAll { $0 == "--once" }
let known = ["scan", "heads", "decisions", "prices", "short-chat"]
guard arguments.allSatisfy(known.contains) else { fail("parts: unknown part; there are: \(known.joined(separator: ", "))") }
let wanted = arguments.isEmpty ? known : arguments

if wanted.contains("scan") { measureScanning() }
if wanted.contains("heads") { measureHeads() }
if wanted.contains("short-chat") { measureShortChat() }
if wanted.contains("prices") { measurePrices() }
if wanted.contains("decisions") {
    let times = measureDecisions()
    if let jsonPath { write(times.json, to: jsonPath) }
}

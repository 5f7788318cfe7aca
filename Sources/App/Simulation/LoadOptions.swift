import ArgumentParser
import Routing
import Simulation

/// Which requests `simulate` plays.
struct LoadOptions: ParsableArguments {
    /// A month of virtual time, in minutes. Longer ones would only take long.
    static let mostMinutes = 31 * 24 * 60.0
    /// The requests of an open loop are made before it is played.
    private static let mostRequests = 1_000_000.0

    @Option(
        help: ArgumentHelp(
            """
            Recorded arrivals: the balancer's own access log, what serve --record wrote, or lines of JSON in Mooncake's form, \
            with hash_ids of 512-token blocks.
            """, valueName: "file"))
    var trace: String?

    @Option(
        help: ArgumentHelp("Coding agents, each of which goes on when it has its answer.", valueName: "count"))
    var agents: Int?

    @Option(
        help: ArgumentHelp("Questions a second that share one long system prompt.", valueName: "rate"))
    var documents: Double?

    @Option(help: ArgumentHelp("Short chats a second, with hardly anything in common.", valueName: "rate"))
    var chats: Double?

    @Option(help: ArgumentHelp("Long prompts a second, with nothing in common.", valueName: "rate"))
    var unique: Double?

    @Option(
        help: ArgumentHelp(
            "Four people who chat, beside one client with so many jobs of 30000 tokens, which come together; 0: only the people.",
            valueName: "count"))
    var bulkJobs: Int?

    @Flag(help: "Each of the --bulk-jobs that ends is followed by another one.")
    var keepJobs = false

    @Option(help: ArgumentHelp("What the client of the --bulk-jobs says of them (X-Priority).", valueName: "class"))
    var jobPriority: String?

    @Option(help: "How long they ask; a trace is played to its end. 30 when left out.")
    var minutes: Double?

    @Option(
        help: ArgumentHelp(
            "Requests of the first so many seconds do not count. 120 when left out, 0 of a trace.", valueName: "seconds"))
    var warmUp: Double?

    @Option(help: ArgumentHelp("Multiplies the times of a trace: 2 is half the load.", valueName: "factor"))
    var timeScale: Double?

    @Flag(help: "All agents have one address, as behind a gateway, instead of each its own.")
    var oneAddress = false

    @Flag(
        help: "Each conversation of a trace in Mooncake's form is a client of its own. Otherwise all requests come from one.")
    var conversationClients = false

    init() {}

    private var given: Int {
        [trace != nil, agents != nil, documents != nil, chats != nil, unique != nil, bulkJobs != nil].count { $0 }
    }

    func validate() throws {
        guard given <= 1 else {
            throw ValidationError(
                "Give only one of --trace, --agents, --documents, --chats, --unique and --bulk-jobs; play others one after the other."
            )
        }
        if trace == nil {
            if let timeScale {
                throw ValidationError("--time-scale \(Figures.typed(timeScale)): only a trace has times; leave it out.")
            }
            if conversationClients { throw ValidationError("--conversation-clients: only a trace needs it; leave it out.") }
        } else if let minutes {
            throw ValidationError(
                "--minutes \(Figures.typed(minutes)): a trace is played to its end; leave it out, or shorten the file.")
        }
        if oneAddress, agents == nil { throw ValidationError("--one-address: give it with --agents, or leave it out.") }
        if let agents { try check("--agents", agents, in: 1...10_000) }
        if let bulkJobs { try check("--bulk-jobs", bulkJobs, in: 0...10_000) }
        if bulkJobs == nil, keepJobs || jobPriority != nil {
            throw ValidationError("--keep-jobs, --job-priority: give them with --bulk-jobs, or leave them out.")
        }
        if let jobPriority, PriorityClass(rawValue: jobPriority) == nil {
            throw ValidationError(
                "--job-priority \(jobPriority): give one of \(PriorityClass.allCases.map(\.rawValue).joined(separator: ", ")).")
        }
        if let minutes { try check("--minutes", minutes, in: 0.01...Self.mostMinutes) }
        if let timeScale { try check("--time-scale", timeScale, in: 0.000_001...1_000_000) }
        if let warmUp { try check("--warm-up", warmUp, in: 0...Self.mostMinutes * 60) }
        for (name, rate) in [("--documents", documents), ("--chats", chats), ("--unique", unique)] {
            guard let rate else { continue }
            try check(name, rate, in: 0.000_1...100_000)
            guard rate * seconds <= Self.mostRequests else {
                throw ValidationError(
                    "\(name) \(Figures.typed(rate)): that would be more than \(Int(Self.mostRequests)) requests; give fewer --minutes."
                )
            }
        }
        if trace == nil { try checkWarmUp(lasts: seconds, remedy: "give more --minutes or a shorter --warm-up") }
    }

    private var seconds: Double { (minutes ?? 30) * 60 }
    private var warmUpSeconds: Double { warmUp ?? (trace == nil ? 120 : 0) }

    private func checkWarmUp(lasts seconds: Double, remedy: String) throws {
        guard warmUpSeconds == 0 || warmUpSeconds < seconds else {
            throw ValidationError(
                "--warm-up \(Figures.plain(warmUpSeconds)): nothing is asked after \(Figures.plain(seconds)) s, so no request "
                    + "would count; \(remedy).")
        }
    }

    /// What they ask. Reads the trace.
    func load() throws -> SimulatedLoad {
        // Not while the command line is read: a misspelt option, such as --agent, is to be named first.
        guard given == 1 else {
            throw CommandFailure.usage(
                "Say what is asked: --trace FILE or --agents COUNT (or --documents, --chats, --unique RATE, --bulk-jobs COUNT). "
                    + "See llama-balancer simulate --help.")
        }
        if let trace {
            let kind: SimulatedLoad.Kind
            do { kind = try recorded(trace) } catch { throw CommandFailure.failed(error.description) }
            let load = SimulatedLoad(kind, countedFrom: warmUpSeconds, countedUntil: nil)
            let lasts = load.lastArrival ?? 0
            guard lasts <= Self.mostMinutes * 60 else {
                throw CommandFailure.failed(
                    "\(trace): the requests come in \(Figures.plain(lasts)) s, more than a month; give a smaller --time-scale, "
                        + "or part of the file. (Are a trace's timestamps milliseconds?)")
            }
            try checkWarmUp(lasts: lasts, remedy: "give a shorter --warm-up")
            return load
        }
        let kind: SimulatedLoad.Kind =
            if let agents {
                .agents(agents, seconds: seconds, haveAddresses: !oneAddress)
            } else if let bulkJobs {
                .bulk(
                    keepJobs ? .keptInFlight : .together(at: warmUpSeconds), jobs: bulkJobs, seconds: seconds,
                    jobPriority.flatMap(PriorityClass.init(rawValue:)))
            } else if let documents {
                .steady(
                    .documents, .init(one: "question with one long system prompt", many: "questions with one long system prompt"),
                    perSecond: documents, seconds: seconds)
            } else if let chats {
                .steady(.chats, .init(one: "short chat", many: "short chats"), perSecond: chats, seconds: seconds)
            } else {
                .steady(
                    .unique, .init(one: "long prompt with nothing in common", many: "long prompts with nothing in common"),
                    perSecond: unique ?? 0, seconds: seconds)
            }
        return SimulatedLoad(kind, countedFrom: warmUpSeconds, countedUntil: seconds)
    }

    private func recorded(_ path: String) throws(RequestFileProblem) -> SimulatedLoad.Kind {
        let timeScale = timeScale ?? 1
        switch try RequestFile.read(path) {
        case .trace(let entries):
            return .trace(entries, timeScale: timeScale, conversationClients ? .conversations : .one)
        case .recorded(let recorded):
            guard !conversationClients else {
                throw RequestFileProblem(
                    file: path, line: nil,
                    message: "\(recorded.source.rawValue) names its clients; leave --conversation-clients out")
            }
            return .recorded(try recorded.workload(of: path, timeScale: timeScale), recorded, timeScale: timeScale)
        }
    }
}

/// - Throws: a message that names option, value and what is possible.
func check<Number: Comparable>(_ option: String, _ value: Number, in range: ClosedRange<Number>) throws(ValidationError) {
    guard range.contains(value) else {
        let (value, least, most) = (Figures.typed(value), Figures.typed(range.lowerBound), Figures.typed(range.upperBound))
        throw ValidationError("\(option) \(value): give a number from \(least) to \(most).")
    }
}

/// The router's state of one backend.
struct Backend: Sendable {
    var server: Fleet.Server
    var health = HealthState()
    var circuits = CircuitTable()
    var throttle = Throttle()
    /// The server's own model list; nil until the server has sent it.
    var models: ModelList?
    /// Requests in flight that count towards the limit, for all models.
    private(set) var inFlight = 0
    /// The same number for each requested model name. Names without requests are absent.
    private(set) var inFlightByInstance: [String: Int] = [:]
    /// Requests in flight that are forwarded at once and do not count towards the limit (model lists, tokenize, …).
    private(set) var passing = 0
    var isDraining = false
    /// No longer in the configuration. The backend is kept until its last request has ended.
    var isRemoved = false
    /// What is known of each model that it serves. The first entry is for requests whose model it does not list.
    var served: [ServedModel] = []
    /// Figures of an earlier run, by model, until the model is served.
    private(set) var saved: [String: SavedFigures] = [:]
    /// The requests in flight that count, in the order in which they were sent.
    var jobs: [Job] = []
    var occupancy = Occupancy()
    var meter = PrefillMeter()
    /// When the last prompt should be done that was sent there. This moment and the next are in seconds.
    var prefillEnd = 0.0
    /// When it got its last request, in seconds.
    var grantedAt = 0.0
    private var foreign = ForeignSlots()
    /// Of an engine that does not report its slots.
    var parallelRequests = ParallelRequests()
    /// When a request last left it, in seconds.
    private(set) var endedAt = -Double.infinity
    var memory = ModelMemory()
    /// Each model has an engine process with slots of its own.
    private(set) var hasSlotsPerModel = false

    init(server: Fleet.Server) { self.server = server }

    var id: BackendID { server.id }

    /// The most requests in flight: the configured number, but never more than the engine has slots, or was seen to compute at once, or
    /// takes before it answers 429.
    var limit: Int? {
        var limit = throttle.limit ?? .max
        if health.slots > 0 {
            limit = min(limit, health.slots)
        } else if !hasSlotsPerModel {
            limit = min(limit, parallelRequests.limit ?? .max)
        }
        if let requestMax = server.requestMax { limit = min(limit, requestMax) }
        return limit == .max ? nil : limit
    }

    /// Slots of that model's own engine process.
    private func ownSlots(of number: Int) -> Int? { hasSlotsPerModel ? served[number].slots.map { max(1, $0) } : nil }

    /// The most requests in flight for that model.
    func limit(of number: Int) -> Int? {
        guard let own = ownSlots(of: number) else { return limit }
        return min(own, limit ?? .max)
    }

    /// The model's own slots are taken.
    func isFull(of number: Int) -> Bool {
        guard let own = ownSlots(of: number) else { return false }
        return competing(for: number) >= own
    }

    /// Requests that run in the slots that the model can use.
    func competing(for number: Int) -> Int {
        ownSlots(of: number) == nil ? jobs.count : jobs.count { $0.served == number }
    }

    /// The slots of one of a model's instances.
    func slots(of number: Int, instances: Int) -> Int { ownSlots(of: number) ?? health.slots / max(1, instances) }

    func isFull(at now: Moment) -> Bool {
        if throttle.until > now { return true }
        guard let limit else { return false }
        return inFlight >= limit
    }

    var isIdleOfRequests: Bool { inFlight == 0 && passing == 0 }

    func inFlight(on instance: String) -> Int { inFlightByInstance[instance] ?? 0 }

    /// How many sessions an instance of a model can hold on this server: its slots, or the server's divided by the number of
    /// instances, but at least 1. 1 when the server does not report its slots.
    func sessions(of number: Int, instances: Int) -> Int {
        max(1, min(slots(of: number, instances: instances), Self.mostSharedSlots / max(1, instances)))
    }

    /// Choosing the session to evict examines every session of an instance. This limits that work, whatever a server reports.
    private static let mostSharedSlots = 1024

    mutating func started(instance: String?, counts: Bool) {
        guard counts else {
            passing += 1
            return
        }
        inFlight += 1
        if let instance { inFlightByInstance[instance, default: 0] += 1 }
    }

    mutating func ended(instance: String?, counts: Bool) {
        guard counts else {
            passing -= 1
            return
        }
        inFlight -= 1
        guard let index = instance.flatMap({ inFlightByInstance.index(forKey: $0) }) else { return }
        if inFlightByInstance.values[index] > 1 {
            inFlightByInstance.values[index] -= 1
        } else {
            inFlightByInstance.remove(at: index)
        }
    }

    /// What is known of the model that answered last; nil while none has.
    var shownFigures: EngineFigures? {
        served.filter { $0.answeredAt > -.infinity }.max { $0.answeredAt < $1.answeredAt }?.figures
    }

    /// Slots that work for others than this balancer, as far as it is known.
    ///
    /// - Parameter conversationTime: `RoutingPolicy.conversationTime`.
    func foreignSlots(at now: Double, conversationTime: Double) -> Int {
        foreign.value(at: now, memory: conversationTime * PriceWeights.foreignMemory)
    }

    /// The engine was asked which of its slots are busy.
    mutating func count(_ slots: BackendReport.Slots) {
        guard let countedAt = slots.countedAt?.seconds else { return }
        foreign.count(busy: slots.busy, own: jobs.count, at: countedAt)
    }

    /// A request leaves it. `lingers`: the engine may go on with it for a moment.
    mutating func ends(_ number: Int, lingers: Bool, at now: Double) -> Job {
        foreign.ownChanged(at: lingers ? now + ForeignSlots.lingering : now)
        if !lingers { parallelRequests.answered() }
        endedAt = now
        return jobs.remove(at: number)
    }

    /// A request is sent there, beside those that run.
    mutating func begins(_ job: Job) {
        foreign.ownChanged(at: job.sentAt)
        for other in jobs.indices {
            jobs[other].mostStreams = max(jobs[other].mostStreams, jobs.count + 1)
            jobs[other].isQuiet = false
            if jobs[other].firstByteAt == nil { (jobs[other].isAlone, jobs[other].isOnlyPrompt) = (false, false) }
        }
        jobs.append(job)
    }

    /// The engine listed its models.
    mutating func list(_ models: [ListedModel], at now: Double) {
        let list = ModelList(models)
        self.models = list
        for number in served.indices {
            served[number].wasListed(list.residency(of: served[number].name), at: now)
            // Of a model that is not loaded, the slots are not told.
            served[number].slots = list.slots(of: served[number].name) ?? served[number].slots
            if let tokens = list.cacheTokens(of: served[number].name) { served[number].cache.state(capacity: tokens) }
        }
        hasSlotsPerModel = models.contains { $0.slots != nil } || hasSlotsPerModel && health.slots == 0
    }

    private static let mostServed = 256

    /// The index in `served` of a model that the server lists; 0 for any other name, because clients choose those.
    mutating func indexOfServed(_ name: String, conversationTime: Double) -> Int {
        if served.isEmpty { serve("", conversationTime) }
        guard models?.lists(name) == true else { return 0 }
        if let index = served.firstIndex(where: { $0.name == name }) { return index }
        guard served.count < Self.mostServed else { return 0 }
        serve(name, conversationTime)
        return served.count - 1
    }

    private mutating func serve(_ name: String, _ conversationTime: Double) {
        var model = ServedModel(name: name, conversationTime: conversationTime)
        model.residency = models?.residency(of: name)
        model.slots = models?.slots(of: name)
        if let tokens = models?.cacheTokens(of: name) { model.cache.state(capacity: tokens) }
        if let figures = saved.removeValue(forKey: name) { model.restore(figures) }
        served.append(model)
    }

    /// Figures of an earlier run count for a model of which nothing has been learned yet.
    mutating func restore(_ figures: SavedFigures) {
        guard let index = served.firstIndex(where: { $0.name == figures.model }) else {
            if saved.count < Self.mostServed { saved[figures.model] = figures }
            return
        }
        served[index].restore(figures)
    }

    /// Forgets the speeds of an earlier run that nothing has confirmed.
    mutating func forgetEarlierRun() {
        for number in served.indices { served[number].figures.forgetEarlierRun() }
        for model in saved.keys {
            saved[model]?.prefillTokensPerSecond = nil
            saved[model]?.tokenSeconds = nil
        }
    }

    /// How the server serves a model; nil when it does not list the model. With `instances: off`, a model has no further
    /// instances.
    func instances(of model: String) -> ModelList.Instances? {
        guard var found = models?.instances(of: model) else { return nil }
        if !server.hasInstances { found.names.removeLast(found.names.count - 1) }
        return found
    }
}

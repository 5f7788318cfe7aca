import NIOCore
import NIOHTTP1
import Wire

/// The engine behind a listener: its behaviour, slots and connections. Everything happens on one event loop.
final class Engine {
    let loop: any EventLoop
    let log: ObservationLog
    /// The listening socket; it accepts by itself unless the engine is a black hole.
    var listener: (any Channel)?
    private(set) var behaviour: Behaviour
    private let started = NIODeadline.now()
    private var slots: Slots
    private var random: SeededGenerator
    private var requests = 0
    private var acceptedConnections = 0
    private var connections: [Int: Connection] = [:]
    /// Requests that have arrived and not ended, including probes.
    private var current: [Int: Exchange] = [:]
    var totals = Totals()

    /// A request from its arrival to the end of its answer.
    private struct Exchange {
        let isProbe: Bool
        /// Makes the answer, once a slot has been granted.
        var work: ((_ rememberedBytes: Int) -> Void)?
        var wantsSlot = false
    }

    /// What `/metrics` counts.
    struct Totals {
        var promptTokens = 0
        var cachedTokens = 0
        var predictedTokens = 0
        var promptSeconds = 0.0
        var predictedSeconds = 0.0

        mutating func add(_ generation: Generation) {
            promptTokens += generation.processedTokens
            cachedTokens += generation.cachedTokens
            predictedTokens += generation.answerTokens
            promptSeconds += Double(generation.prefillNanoseconds) / 1e9
            predictedSeconds += Double(generation.totalNanoseconds - generation.prefillNanoseconds) / 1e9
        }
    }

    init(_ behaviour: Behaviour, loop: any EventLoop, log: ObservationLog) {
        self.behaviour = behaviour
        self.loop = loop
        self.log = log
        slots = Slots(count: behaviour.slots)
        random = SeededGenerator(seed: behaviour.seed)
    }

    var name: String { behaviour.name ?? "fake-\(listener?.localAddress?.port ?? 0)" }
    var isLoading: Bool { started + TimeAmount(behaviour.loadingFor) > .now() }
    var slotHolders: [Int?] { slots.holders }
    var busySlots: Int { slots.busyCount }
    var deferredRequests: Int { slots.waitingCount }

    func change(_ behaviour: Behaviour) {
        if behaviour.seed != self.behaviour.seed { random = SeededGenerator(seed: behaviour.seed) }
        self.behaviour = behaviour
        listener?.setOption(.autoRead, value: behaviour.fault != .acceptNever).assumeIsolated().whenFailure { _ in }
        for grant in slots.resize(to: behaviour.slots) { start(grant) }
    }

    // Connections.

    func connection() -> Connection {
        acceptedConnections += 1
        return Connection(number: acceptedConnections, engine: self)
    }

    func opened(_ connection: Connection) {
        connections[connection.number] = connection
        log.connectionOpened()
    }

    func closed(_ connection: Connection) {
        connections[connection.number] = nil
        log.connectionClosed()
    }

    func cutOffAll() {
        for connection in connections.values { connection.cutOff() }
    }

    // Requests.

    /// The fault that the request's header names, else the fault of the engine.
    func fault(of head: HTTPRequestHead) throws(FaultProblem) -> Fault? {
        guard !head.uri.hasPrefix(controlPathPrefix) else { return nil }
        guard let text = head.headers.first(name: "x-fake-fault") else { return behaviour.fault }
        return try Fault(parsing: text)
    }

    /// Notes that a request has arrived. Returns the number that it goes by.
    func begin(_ request: ReceivedRequest, on connection: Connection) -> Int {
        requests += 1
        let isControl = request.head.uri.hasPrefix(controlPathPrefix)
        let isProbe = isControl || Endpoint.isProbe(method: request.method, target: request.head.uri)
        if !isControl {
            log.began(request.observed(number: requests, connection: connection.number), isProbe: isProbe)
        }
        current[requests] = Exchange(isProbe: isProbe)
        return requests
    }

    /// Plays the answer on the connection, now or when a slot is free.
    func answer(_ request: ReceivedRequest, number: Int, on connection: Connection) {
        let fault: Fault?
        do {
            fault = roll(try self.fault(of: request.head))
        } catch {
            let answer = Answer.error(400, "invalid_request_error", error.description, kind: behaviour.kind)
            return connection.play(AnswerScript(answer, delivery: delivery(of: answer, to: request, on: connection)))
        }
        let deliver = { (answer: Answer) in
            connection.play(AnswerScript(answer, delivery: self.delivery(of: answer, to: request, on: connection), fault: fault))
        }
        if let fault, fault.replacesWork { return deliver(replacement(by: fault)) }
        switch reply(to: request, number: number) {
        case .now(let answer): deliver(answer)
        case .afterSlot(let prompt, let respond):
            current[number]?.wantsSlot = true
            current[number]?.work = { deliver(respond($0)) }
            if let grant = slots.arrive(number, prompt: prompt) { start(grant) }
        }
    }

    private func start(_ grant: Slots.Grant) {
        current[grant.ticket]?.work?(grant.rememberedBytes)
    }

    func ended(_ number: Int, _ outcome: Observations.Outcome, eventsSent: Int) {
        guard let exchange = current.removeValue(forKey: number) else { return }
        log.ended(number, outcome, eventsSent: eventsSent, isProbe: exchange.isProbe)
        guard exchange.wantsSlot, let next = slots.leave(number) else { return }
        // Deferred: otherwise a long queue of short answers would become an equally deep recursion.
        loop.assumeIsolated().execute { self.start(next) }
    }

    private func roll(_ fault: Fault?) -> Fault? {
        guard case .sometimes(let rate, let inner)? = fault else { return fault }
        return Double.random(in: 0..<1, using: &random) < rate ? inner : nil
    }

    /// The answer that a fault gives in place of the engine's own answer. Faults that send nothing ignore it.
    private func replacement(by fault: Fault) -> Answer {
        if case .status(let code) = fault { return .error(code, "fake_error", "fault status=\(code)", kind: behaviour.kind) }
        if fault == .contextExceeded {
            let message =
                "request (40000 tokens) exceeds the available context size (\(behaviour.contextTokens) tokens), try increasing it"
            return .error(400, "exceed_context_size_error", message, kind: behaviour.kind)
        }
        if case .bigAnswer(let bytes) = fault { return Answer(contentType: "text/plain", body: .filler(bytes: bytes)) }
        if fault == .notModified { return Answer(status: 304, fields: [("ETag", "\"fake\"")], body: .none) }
        if fault == .gzip { return Answer(fields: [("Content-Encoding", "gzip")], body: .fixed(gzippedJSON)) }
        return Answer(status: 204, body: .none)
    }

    private func delivery(of answer: Answer, to request: ReceivedRequest, on connection: Connection) -> Delivery {
        var delivery = Delivery(kind: behaviour.kind)
        delivery.isHeadOnly = request.method == "HEAD"
        delivery.isHTTP10Client = request.head.version != .http1_1
        delivery.origin = request.field("Origin") ?? ""
        delivery.announcesClose = !request.head.isKeepAlive
        if behaviour.kind == .llamaServer {
            if behaviour.closesAfterStream, answer.isStream { delivery.closesAtEnd = true }
            if behaviour.closesAfterError, answer.status >= 400 { delivery.announcesClose = true }
            if connection.answersSent + 1 >= behaviour.answersPerConnection { delivery.announcesClose = true }
        }
        return delivery
    }
}

/// `{"gzip":true}`, compressed: a constant, so that no compressor is needed.
private let gzippedJSON: [UInt8] = [
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0xff, 0xab, 0x56, 0x4a, 0xaf, 0xca, 0x2c,
    0x50, 0xb2, 0x2a, 0x29, 0x2a, 0x4d, 0xad, 0x05, 0x00, 0xf9, 0xea, 0xf4, 0x36, 0x0d, 0x00, 0x00,
    0x00,
]

/// SplitMix64: the same seed gives the same failures.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

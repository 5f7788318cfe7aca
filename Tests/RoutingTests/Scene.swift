@testable import Routing

/// A router with a clock that is turned by hand, and short ways to say what happens.
struct Scene {
    private let held = HeldRouter()
    private(set) var now = Moment(nanoseconds: 1_000_000_000)
    private var lastTicket: UInt64 = 0

    /// The fleet's servers get the ids 1, 2, 3 … in order; each is up, idle and lists `models`, unless told otherwise.
    init(
        _ servers: [(name: String, requestMax: Int?)] = [("A", 1), ("B", 1)], routes: [(String, [Int])]? = nil,
        fallback: Int? = nil, policy: RoutingPolicy = RoutingPolicy(), models: [String]? = ["m"], isUp: Bool = true
    ) {
        _ = happens(.fleetChanged(Scene.fleet(servers, routes: routes, fallback: fallback, policy: policy)))
        for index in servers.indices {
            if isUp { _ = probe(index + 1) }
            if let models { _ = list(index + 1, models) }
        }
    }

    static func fleet(
        _ servers: [(name: String, requestMax: Int?)], routes: [(String, [Int])]? = nil, fallback: Int? = nil,
        policy: RoutingPolicy = RoutingPolicy(), firstID: Int = 1
    ) -> Fleet {
        Fleet(
            servers: servers.enumerated().map {
                .init(id: id(firstID + $0.offset), name: $0.element.name, requestMax: $0.element.requestMax)
            },
            routes: routes?.map { .init(pattern: ModelPattern($0.0), servers: $0.1.map(id)) },
            fallback: fallback.map(id), policy: policy)
    }

    static func id(_ number: Int) -> BackendID { BackendID(rawValue: number) }

    mutating func happens(_ event: Event) -> [Effect] { router.handle(event, at: now) }

    mutating func pass(_ duration: Interval) { now = now + duration }

    /// A request arrives; its ticket and what came of it.
    mutating func ask(
        _ model: String = "m", client: String = "c", counts: Bool = true, requestID: String = ""
    ) -> (ticket: Ticket, effects: [Effect]) {
        ask(.model(model), client: client, counts: counts, requestID: requestID)
    }

    mutating func ask(
        _ destination: RequestTraits.Destination, client: String = "c", counts: Bool = true, requestID: String = "",
        follows: RequestTraits.Followed? = nil
    ) -> (ticket: Ticket, effects: [Effect]) {
        lastTicket += 1
        let ticket = Ticket(owner: 0, sequence: lastTicket)
        let traits = RequestTraits(
            destination: destination, client: client, address: "10.0.0.1", counts: counts, requestID: requestID,
            follows: follows)
        return (ticket, happens(.requestArrived(ticket, traits)))
    }

    mutating func finish(_ ticket: Ticket) -> [Effect] { happens(.finished(ticket, Outcome(.complete))) }

    mutating func fail(_ ticket: Ticket, _ failure: AttemptFailure = .connect("refused")) -> [Effect] {
        happens(.attemptFailed(ticket, failure))
    }

    mutating func probe(_ server: Int, isBusy: Bool = false, slots: Int? = nil) -> [Effect] {
        happens(
            .probed(Scene.id(server), BackendReport(isBusy: isBusy, slots: slots.map { .init(total: $0, busy: 0) })))
    }

    mutating func probeFails(_ server: Int, times: Int = 1, engineListens: Bool = false) -> [Effect] {
        var effects: [Effect] = []
        for _ in 0..<times {
            effects += happens(.probeFailed(Scene.id(server), reason: "no answer", engineListens: engineListens))
        }
        return effects
    }

    mutating func list(_ server: Int, _ models: [String]) -> [Effect] {
        happens(.modelsListed(Scene.id(server), models.map { ListedModel($0) }))
    }

    var router: Router {
        _read { yield held.router }
        _modify { yield &held.router }
    }

    /// Changes the router by hand.
    func change(_ body: (inout Router) -> Void) { body(&held.router) }

    /// Whether a server may take a request.
    var canTakeWork: Bool { router.canTakeWork }

    /// That server as the snapshot shows it.
    func server(_ name: String) -> FleetSnapshot.Server? { snapshot.servers.first { $0.name == name } }

    var snapshot: FleetSnapshot { held.router.snapshot(at: now) }
}

/// A router cannot be copied; copies of what holds it share it.
final class HeldRouter {
    var router = Router()
}

extension [Effect] {
    /// Where the request was granted to run; nil when it was not.
    func grant(of ticket: Ticket) -> Grant? {
        for case .grant(ticket, let grant) in self { return grant }
        return nil
    }

    func refusal(of ticket: Ticket) -> Refusal? {
        for case .refuse(ticket, let refusal) in self { return refusal }
        return nil
    }

    /// Without those that concern servers.
    var ofRequests: [Effect] { filter { $0.ticket != nil } }

    /// The granted tickets, in order.
    var granted: [Ticket] {
        compactMap { if case .grant(let ticket, _) = $0 { ticket } else { nil } }
    }

    var wakes: [Moment] {
        compactMap { if case .wakeMe(let moment) = $0 { moment } else { nil } }
    }
}

extension Refusal {
    /// The case without its details.
    var kind: String {
        switch self {
        case .modelNotFound: "modelNotFound"
        case .noSuchServer: "noSuchServer"
        case .keyLimit: "keyLimit"
        case .queueFull: "queueFull"
        case .waitTooLong: "waitTooLong"
        case .queueTimeout: "queueTimeout"
        case .noServerAvailable: "noServerAvailable"
        case .upstreamFailed: "upstreamFailed"
        }
    }
}

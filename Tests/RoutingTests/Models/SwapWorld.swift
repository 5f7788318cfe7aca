@testable import Routing

/// Engines that load models on demand and hold a few at once, behind a router, and clients that ask again a while after each answer.
///
/// An engine pushes out the model that has been without a new request for longest and computes nothing, and tells its models every ten
/// seconds, or when it is asked.
struct SwapWorld {
    struct Client {
        /// Asked for in turn.
        var models: [String]
        /// Seconds between an answer and the next request.
        var pause = 1.0
        fileprivate(set) var turns = 0
    }

    private enum Happening { case arrives(Int), begins(Ticket), ends(Ticket), lists }

    private struct Run {
        var client: Int
        var model: String
        var server: Int?
        var arrivedAt: Double
    }

    static let loadSeconds = 3.0
    private static let promptSeconds = 0.5
    private static let answerSeconds = 1.5
    private static let models = ["x", "y", "z"]

    private(set) var priced: PricedScene
    private let capacity: Int
    /// For each server its models in memory: the one that has been without a new request for longest first.
    private(set) var loaded: [[String]]
    private var clients: [Client]
    private var happenings: [(at: Double, what: Happening)] = []
    private var runs: [Ticket: Run] = [:]

    private(set) var loads = 0
    /// Loads that had to break off, or wait for, a model that computed.
    private(set) var collisions = 0
    /// For each model the seconds from each request to its start on a server.
    private(set) var waits: [String: [Double]] = [:]
    private(set) var answers = 0

    /// - Parameter tellsCapacity: the engines say how many models they hold.
    init(servers: Int, holding capacity: Int, slots: Int = 2, tellsCapacity: Bool = true, clients: [Client]) {
        self.capacity = capacity
        self.clients = clients
        loaded = Array(repeating: [], count: servers)
        let names = (0..<servers).map { PricedScene.Server(name: "\($0)", slots: slots, residency: .unloaded) }
        priced = PricedScene(names, models: Self.models)
        for server in 0..<servers {
            var report = BackendReport(isBusy: false, slots: .init(total: slots, busy: 0))
            report.mostLoadedModels = tellsCapacity ? capacity : nil
            _ = priced.scene.happens(.probed(Scene.id(server + 1), report))
        }
        for client in clients.indices { add(.arrives(client), in: 0.01 * Double(client)) }
        add(.lists, in: 10)
    }

    private var now: Double { priced.scene.now.seconds }

    mutating func live(seconds: Double) {
        let end = now + seconds
        while let next = happenings.first {
            let wake = priced.scene.router.wakeAt.map(\.seconds) ?? .infinity
            guard min(next.at, wake) <= end else { return }
            priced.pass(max(0, min(next.at, wake) - now))
            if wake < next.at {
                carryOut(priced.scene.happens(.clockAdvanced))
            } else {
                happen(happenings.removeFirst().what)
            }
        }
    }

    private mutating func add(_ what: Happening, in seconds: Double) {
        let at = now + seconds
        happenings.insert((at, what), at: happenings.firstIndex { $0.at > at } ?? happenings.count)
    }

    private mutating func happen(_ what: Happening) {
        switch what {
        case .arrives(let number):
            let model = clients[number].models[clients[number].turns % clients[number].models.count]
            clients[number].turns += 1
            let asked = priced.ask(TestPrompt((number, 500)), client: "\(number)", model: model)
            runs[asked.ticket] = Run(client: number, model: model, arrivedAt: now)
            carryOut(asked.effects)
        case .begins(let ticket): carryOut(priced.begin(ticket))
        case .ends(let ticket):
            guard let run = runs.removeValue(forKey: ticket) else { return }
            answers += 1
            add(.arrives(run.client), in: clients[run.client].pause)
            carryOut(priced.finish(ticket))
        case .lists:
            for server in loaded.indices { list(server) }
            add(.lists, in: 10)
        }
    }

    private mutating func carryOut(_ effects: [Effect]) {
        for effect in effects {
            switch effect {
            case .grant(let ticket, let grant): begin(ticket, on: Int(grant.serverName) ?? 0)
            case .probeNow(let id): list(id.rawValue - 1)
            case .refuse, .keepAnswer, .requeued, .serverLost, .serverNews, .wakeMe: break
            }
        }
    }

    private mutating func list(_ server: Int) {
        let models = Self.models.map { ListedModel($0, residency: loaded[server].contains($0) ? .loaded : .unloaded) }
        carryOut(priced.scene.happens(.modelsListed(Scene.id(server + 1), models)))
    }

    private mutating func begin(_ ticket: Ticket, on server: Int) {
        guard var run = runs[ticket] else { return }
        waits[run.model, default: []].append(now - run.arrivedAt)
        var seconds = 0.0
        if let place = loaded[server].firstIndex(of: run.model) {
            loaded[server].remove(at: place)
        } else {
            loads += 1
            seconds = Self.loadSeconds
            if loaded[server].count >= capacity {
                let busy = Set(runs.values.filter { $0.server == server }.map(\.model))
                let idle = loaded[server].firstIndex { !busy.contains($0) }
                if idle == nil { collisions += 1 }
                loaded[server].remove(at: idle ?? 0)
            }
        }
        loaded[server].append(run.model)
        run.server = server
        runs[ticket] = run
        add(.begins(ticket), in: seconds + Self.promptSeconds)
        add(.ends(ticket), in: seconds + Self.promptSeconds + Self.answerSeconds)
    }
}

import FakeBackend
import NIOCore
import NIOPosix
import Proxy
import Routing
import Testing

@testable import Control

/// Fake engines, a router and a monitor that watches them; no proxy.
struct TestFleet: Sendable {
    static let group = MultiThreadedEventLoopGroup.singleton

    let router: SharedRouter
    let monitor: HealthMonitor
    let servers: [MonitoredServer]

    /// - Parameter timeout: long by default, so that only a test that wants it sees a probe run out of time.
    init(
        _ servers: [MonitoredServer], interval: Duration = .milliseconds(5), timeout: Duration = .seconds(60),
        names: NameResolver = NameResolver()
    ) throws {
        router = SharedRouter(eventLoops: Array(Self.group.makeIterator()))
        router.send(.fleetChanged(Self.fleet(servers)))
        monitor = HealthMonitor(group: Self.group, router: router, names: names)
        self.servers = servers
        self.timing = .init(interval: interval, timeout: timeout)
    }

    private let timing: HealthMonitor.Timing

    func watch() { monitor.watch(servers, timing: timing) }

    static func fleet(_ servers: [MonitoredServer]) -> Fleet {
        Fleet(servers: servers.map { .init(id: $0.id, name: $0.name) }, routes: nil, fallback: servers.first?.id)
    }

    /// Waits until the server looks as wanted.
    @discardableResult
    func server(
        _ name: String, is what: String, where isWanted: (FleetSnapshot.Server) -> Bool
    ) async throws -> FleetSnapshot.Server {
        try await wait(
            for: "\(name) is \(what)", { try #require(router.snapshot().servers.first { $0.name == name }) }, where: isWanted)
    }
}

extension FleetSnapshot.Server {
    var isUp: Bool { if case .up = phase { true } else { false } }
    var isDown: Bool { if case .down = phase { true } else { false } }
    var reason: String? {
        switch phase {
        case .unknown, .up: nil
        case .suspect(let reason), .down(let reason): reason
        }
    }
}

extension FakeLlamaServer {
    var target: ProbeTarget { ProbeTarget(host: host, port: port) }

    func monitored(_ number: Int, name: String, kind: EngineKind? = nil) -> MonitoredServer {
        MonitoredServer(id: BackendID(rawValue: number), name: name, engine: target, kind: kind)
    }

    /// How often that path was asked for.
    func count(_ path: String) -> Int { observations.requests.count { $0.target == path } }
}

struct TimedOut: Error, CustomStringConvertible {
    let description: String
}

/// Looks at a value until it is as wanted. Throws when that takes too long.
@discardableResult
func wait<Value>(
    for what: String, _ look: () async throws -> Value, where isWanted: (Value) throws -> Bool
) async throws -> Value {
    let deadline = ContinuousClock.now + .seconds(20)
    while true {
        let value = try await look()
        if try isWanted(value) { return value }
        guard ContinuousClock.now < deadline else { throw TimedOut(description: "\(what): not so within 20 s; now \(value)") }
        try await Task.sleep(for: .milliseconds(2))
    }
}

/// Starts engines and stops them whatever happens.
func withEngines(_ behaviours: Behaviour..., body: ([FakeLlamaServer]) async throws -> Void) async throws {
    var engines: [FakeLlamaServer] = []
    for behaviour in behaviours { engines.append(try await FakeLlamaServer.start(behaviour, group: TestFleet.group)) }
    let result: Result<Void, any Error>
    do {
        try await body(engines)
        result = .success(())
    } catch {
        result = .failure(error)
    }
    for engine in engines { try await engine.stop() }
    try result.get()
}

import FakeBackend
import NIOConcurrencyHelpers
import NIOCore
import NIOSSL
import Proxy
import Routing
import Testing

@testable import Control

@Suite("Probes of servers with names", .timeLimit(.minutes(2))) struct MonitorNamesTests {
    @Test("a name that is never answered is down with its reason, and delays no other server's probes")
    func deadName() async throws {
        let release = ConditionLock(value: 0)
        let names = NameResolver { host throws(LookUpFailure) in
            if host == "dead.test" {
                release.lock(whenValue: 1)
                release.unlock(withValue: 1)
                throw LookUpFailure("no such host")
            }
            do { return [try SocketAddress(ipAddress: "127.0.0.1", port: 0)] } catch { throw LookUpFailure("\(error)") }
        }
        try await withEngines(Behaviour()) { engines in
            let dead = MonitoredServer(
                id: BackendID(rawValue: 1), name: "dead", engine: ProbeTarget(host: "dead.test", port: engines[0].port))
            let good = MonitoredServer(
                id: BackendID(rawValue: 2), name: "good", engine: ProbeTarget(host: "good.test", port: engines[0].port))
            let fleet = try TestFleet([dead, good], timeout: .milliseconds(500), names: names)
            fleet.watch()
            let down = try await fleet.server("dead", is: "down") { $0.isDown }
            #expect(down.reason?.contains("the name server did not answer") == true)
            // By its number: only the last requests are kept.
            func probes() -> Int { engines[0].observations.requests.last?.number ?? 0 }
            let seen = probes()
            try await wait(for: "further probes", probes, where: { $0 > seen + 10 })
            try await fleet.server("good", is: "up") { $0.isUp }
            fleet.monitor.stop()
        }
        release.lock()
        release.unlock(withValue: 1)
    }

    @Test(
        "a name with several addresses is up while one of them works",
        arguments: [["127.0.0.3", "127.0.0.1"], ["127.0.0.1", "127.0.0.3"]])
    func severalAddresses(addresses: [String]) async throws {
        let names = NameResolver { _ throws(LookUpFailure) in
            do { return try addresses.map { try SocketAddress(ipAddress: $0, port: 0) } } catch {
                throw LookUpFailure("\(error)")
            }
        }
        try await withEngines(Behaviour()) { engines in
            let server = MonitoredServer(
                id: BackendID(rawValue: 1), name: "A", engine: ProbeTarget(host: "engine.test", port: engines[0].port))
            let fleet = try TestFleet([server], names: names)
            fleet.watch()
            try await fleet.server("A", is: "up") { $0.isUp }
            fleet.monitor.stop()
        }
    }

    @Test("TLS settings hold for probes, and what is wrong is said in plain words")
    func tls() async throws {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.trustRoots = .certificates([])
        let context = try NIOSSLContext(configuration: configuration)
        try await withEngines(Behaviour()) { engines in
            let server = MonitoredServer(
                id: BackendID(rawValue: 1), name: "A",
                engine: ProbeTarget(host: engines[0].host, port: engines[0].port, transport: .tls(context)))
            let fleet = try TestFleet([server])
            fleet.watch()
            let down = try await fleet.server("A", is: "down") { $0.isDown }
            #expect(down.reason?.contains("TLS") == true)
            fleet.monitor.stop()
        }
    }
}

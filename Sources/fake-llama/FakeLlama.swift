import ArgumentParser
import FakeBackend
import NIOCore
import NIOPosix

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

struct FakeLlama: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fake-llama",
        abstract: "A llama-server that computes nothing and misbehaves on request, for tests and demonstrations.",
        discussion: """
            Examples:
              fake-llama --port 8081
              fake-llama --slots 1 --prefill-speed 500 --decode-speed 30 --name slow
              fake-llama --fault fail-rate=0.3:status=503

            Faults for a single request: header X-Fake-Fault. At run time: POST /fake/behaviour {"fault":"refuse","for_ms":3000}.
            GET /fake/observations tells what it has seen.
            Faults: \(Fault.examples.joined(separator: " "))
            """)

    @Option(help: "Address to listen on.") var host = "127.0.0.1"
    @Option(help: "Port; 0 takes a free one.") var port = 0
    @Option(help: "Names of the models, with commas.") var models = "fake-model"
    @Option(help: "Requests computed at the same time.") var slots = 4
    @Option(help: "Prompt tokens a second; without it, at once.") var prefillSpeed: Double?
    @Option(help: "Answer tokens a second; without it, at once.") var decodeSpeed: Double?
    @Option(help: "Key that requests must carry.") var apiKey: String?
    @Option(help: "Engine to imitate: \(Behaviour.Kind.allCases.map(\.rawValue).joined(separator: ", ")).")
    var kind = Behaviour.Kind.llamaServer
    @Option(help: "What goes wrong with every request.") var fault: Fault?
    @Flag(help: "Say in /llmhealth that the GPU is busy.") var gpuBusy = false
    @Option(help: "Seconds for which it is loading its model.") var loadingSeconds = 0.0
    @Option(help: "Name in the answers; without it fake- and the port.") var name: String?

    func validate() throws {
        guard Behaviour.possibleSlots.contains(slots) else {
            throw ValidationError("--slots \(slots): must be from 1 to \(Behaviour.possibleSlots.upperBound)")
        }
        guard (0...1e6).contains(loadingSeconds) else {
            throw ValidationError("--loading-seconds \(loadingSeconds): must be from 0 to a million")
        }
        for speed in [prefillSpeed, decodeSpeed].compactMap({ $0 }) where speed <= 0 {
            throw ValidationError("speed \(speed): must be above 0")
        }
    }

    func run() async throws {
        let behaviour = Behaviour {
            $0.name = name
            $0.kind = kind
            $0.models = models.split(separator: ",").map(String.init)
            $0.slots = slots
            $0.prefillTokensPerSecond = prefillSpeed
            $0.decodeTokensPerSecond = decodeSpeed
            $0.apiKey = apiKey
            $0.fault = fault
            $0.gpuBusy = gpuBusy
            $0.loadingFor = .seconds(loadingSeconds)
        }
        let server: FakeLlamaServer
        do {
            server = try await .start(behaviour, host: host, port: port, group: MultiThreadedEventLoopGroup.singleton)
        } catch {
            throw ValidationError("cannot listen on \(host):\(port): \(error)")
        }
        print("listening on \(server.baseURL)")
        fflush(nil)
        try await server.waitUntilStopped()
    }
}

extension Behaviour.Kind: ExpressibleByArgument {}

extension Fault: ExpressibleByArgument {
    package init?(argument: String) {
        try? self.init(parsing: argument)
    }
}

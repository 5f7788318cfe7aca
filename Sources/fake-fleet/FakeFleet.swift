import ArgumentParser
import NIOCore
import NIOHTTP1
import NIOPosix
import Simulation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

struct FakeFleet: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fake-fleet",
        abstract: "Several llama-servers on ports of one process, as the simulation models them, in scaled time.",
        discussion: """
            Example: four machines, thirty times as fast as life
              fake-fleet --scale 30 --machine 4000:2 --machine 2500:2 --machine 1500:2 --machine 800:2

            A token is four bytes of a message. `max_tokens` is the exact length of an answer. Nothing is computed.
            GET /fleet on any port tells what the machines did and how late the program was; POST /fleet/reset forgets it.
            """)

    @Option(help: "How many times as fast as life.") var scale = 1.0
    @Option(help: "A machine: prompt tokens a second, slots and, unless 300000, tokens in its host prompt cache (2000:2:300000).")
    var machine: [MachineModel] = []

    func validate() throws {
        guard !machine.isEmpty else { throw ValidationError("no machine; name at least one, for example --machine 2000:2") }
        guard scale > 0, scale <= 1000 else { throw ValidationError("--scale \(scale): must be above 0 and at most 1000") }
    }

    func run() async throws {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let fleet = try await loop.submit { [machine, scale] in
            NIOLoopBound(Fleet(machine.map(\.model), clock: ScaledClock(scale: scale), loop: loop), eventLoop: loop)
        }.get()
        var listeners: [any Channel] = []
        for number in machine.indices {
            let listener = try await ServerBootstrap(group: loop)
                .serverChannelOption(.backlog, value: 1024)
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandlers(
                            ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes)),
                            IdleStateHandler(allTimeout: MachineConnection.idleTimeout),
                            MachineConnection(number: number, fleet: fleet.value))
                    }
                }
                .bind(host: "127.0.0.1", port: 0).get()
            listeners.append(listener)
            print("listening on http://127.0.0.1:\(listener.localAddress?.port ?? 0)")
        }
        fflush(nil)
        for listener in listeners { try await listener.closeFuture.get() }
    }
}

/// A machine as the command line names it.
struct MachineModel: ExpressibleByArgument {
    let model: EngineModel

    init?(argument: String) {
        let parts = argument.split(separator: ":", omittingEmptySubsequences: false).map { Int($0) }
        guard parts.count == 2 || parts.count == 3, let speed = parts[0], let slots = parts[1], speed > 0, slots > 0 else {
            return nil
        }
        let cache = parts.count == 3 ? parts[2] : 300_000
        guard let cache, cache >= 0 else { return nil }
        model = EngineModel(prefillTokensPerSecond: Double(speed), slots: slots, cacheTokens: cache)
    }
}

import FakeBackend
import NIOCore
import NIOPosix
import Routing
import Testing
import Wire

@testable import Proxy

/// What was wrong with the original, entries 6 to 10; the others are the router's and are tested there.
@Suite("Faults of the original that must not come back: moving bytes")
struct OriginalFaultsTests {
    @Test("6. the upstream request is cancelled when the client leaves before the first byte", arguments: [true, false])
    func cancelledBeforeFirstByte(stream: Bool) async throws {
        try await withBalancer { balancer in
            let client = try await balancer.connect()
            try await client.send(chat(stream: stream, fault: "stall-before-answer"))
            let engine = try balancer.engine("A")
            try await engine.observations { $0.concurrency == 1 }
            await client.close()
            try await engine.observations { $0.cancelled == 1 }
            try await balancer.isAtRest()
        }
    }

    @Test("7. a silent prefill is not cut, be it an hour long; only a configured limit cuts it")
    func longPrefill() async throws {
        #expect(try await isCutWithinAnHour(ProxySettings()) == false)
        var limited = ProxySettings()
        limited.timeouts.firstByte = .seconds(1800)
        #expect(try await isCutWithinAnHour(limited))
    }

    @Test("8. an effort is a suffix with its hyphen: `…-yellow` does not end in `low`")
    func yellowIsNotLow() async throws {
        let low = ModelRule(
            modelPattern: "gpt-oss", modelSuffixes: ["-low"],
            set: [.init(name: "chat_template_kwargs", value: ["reasoning_effort": "low"])])
        let setup = Setup {
            $0.servers = [.init("A", models: ["gpt-oss-yellow", "gpt-oss"])]
            $0.settings.modelRules = [low]
        }
        try await withBalancer(setup) { balancer in
            let engine = try balancer.engine("A")
            _ = try await balancer.ask(chat(model: "gpt-oss-yellow"))
            #expect(engine.observations.work.last?.bodyText == chatBody(model: "gpt-oss-yellow"))
            _ = try await balancer.ask(chat(model: "gpt-oss-low"))
            #expect(engine.observations.work.last?.bodyText.contains(#""reasoning_effort":"low""#) == true)
        }
    }

    @Test("9. the body is not encoded anew when an instance is chosen")
    func bodyIsNotReencoded() async throws {
        let setup = Setup { $0.servers = [.init("A", models: ["m", "m-2"])] }
        try await withBalancer(setup) { balancer in
            let first = try await balancer.connect()
            try await first.send(chat(fault: "stall-before-answer", fields: ["X-Session-Id: first"]))
            let engine = try balancer.engine("A")
            try await engine.observations { $0.concurrency == 1 }
            let odd = "{ \"messages\" :[],\"x\":1.0e+2 ,\"y\":\"\\u3042い\\/\", \"model\":\"m\",\"seed\":12345678901234567890 }\n"
            let answer = try await balancer.ask(post("/v1/chat/completions", odd))
            #expect(answer["X-Balancer-Model"] == "m-2")
            let expected =
                "{ \"messages\" :[],\"x\":1.0e+2 ,\"y\":\"\\u3042い\\/\", \"model\":\"m-2\",\"seed\":12345678901234567890 }\n"
            #expect(engine.observations.work.last?.bodyText == expected)
        }
    }

    @Test("10. no model list is fetched in a request's path")
    func noModelListInThePath() async throws {
        let setup = Setup { $0.servers = [.init("A", models: nil), .init("B", models: nil)] }
        try await withBalancer(setup) { balancer in
            for model in ["m", "other", "m-high"] {
                let answer = try await balancer.ask(chat(model: model))
                #expect(answer.status == 200)
            }
            for name in ["A", "B"] { #expect(try balancer.engine(name).observations.probes == 0) }
        }
    }

    /// Starts a request to an engine that stays silent, and asks whether its time would be over in an hour.
    private func isCutWithinAnHour(_ settings: ProxySettings) async throws -> Bool {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let engine = try await FakeLlamaServer.start(Behaviour { $0.fault = .stallBeforeAnswer }, group: loop)
        let router = SharedRouter(eventLoops: [loop])
        let id = BackendID(rawValue: 0)
        router.send(.fleetChanged(Fleet(servers: [.init(id: id, name: "A")], routes: nil, fallback: id)))
        var settings = settings
        settings.endpoints = [BackendEndpoint(id: id, name: "A", host: engine.host, port: engine.port)]
        let configured = settings
        let owner = router.addOwner()
        let context = try await loop.submit {
            let context = LoopContext(
                index: owner, eventLoop: loop, router: router, localEndpoints: Notes(), observer: nil, accessLog: nil,
                dialer: Dialer(names: NameResolver()), viaName: "llama-balancer")
            context.apply(configured)
            return NIOLoopBound(context, eventLoop: loop)
        }.get()
        router.attach(LoopClient(eventLoop: loop, context: context), as: owner)
        let listener = try await ServerBootstrap(group: loop)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(ClientHandler(loop: context.value, limit: ConnectionLimit(8)))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let client = try await RawClient.connect(port: try #require(listener.localAddress?.port), tls: nil)
        try await client.send(chat())
        try await engine.observations { $0.concurrency == 1 }
        let isCut = try await loop.submit {
            context.value.clients.connected.values.contains { $0.runner.deadline.isOver(at: Clock.now + .seconds(3600)) }
        }.get()
        await client.close()
        try await engine.observations { $0.cancelled == 1 }
        try await listener.close()
        try await engine.stop()
        return isCut
    }
}

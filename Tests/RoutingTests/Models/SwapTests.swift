import Testing

@testable import Routing

@Suite("Servers that load models on demand")
struct SwapTests {
    private typealias Client = SwapWorld.Client

    @Test("two servers that hold one model each, and clients of two models: each model has its server")
    func settled() {
        var world = SwapWorld(
            servers: 2, holding: 1,
            clients: [Client(models: ["x"]), .init(models: ["y"]), .init(models: ["x"]), .init(models: ["y"])])
        world.live(seconds: 300)
        #expect(world.loads == 2 && world.collisions == 0)
        #expect(Set(world.loaded) == [["x"], ["y"]])
        #expect(world.answers > 300)
    }

    @Test("one client that asks for two models in turn uses both servers", arguments: [true, false])
    func alternating(tells: Bool) {
        var world = SwapWorld(servers: 2, holding: 1, tellsCapacity: tells, clients: [Client(models: ["x", "y"])])
        world.live(seconds: 60)
        #expect(world.loads == 2 && world.answers > 15)
    }

    @Test("eight requests at once for two models: each server loads one of them")
    func burst() {
        let clients = (0..<8).map { Client(models: [["x", "y"][$0 % 2]], pause: 0.1) }
        var world = SwapWorld(servers: 2, holding: 1, slots: 4, clients: clients)
        world.live(seconds: 60)
        #expect(world.loads == 2 && world.collisions == 0)
    }

    @Test("one server that holds one model: demand is served in batches, and nobody waits for long", arguments: [1, 2])
    func batches(slots: Int) {
        let clients = (0..<4).map { Client(models: [["x", "y"][$0 % 2]], pause: 0.2) }
        var world = SwapWorld(servers: 1, holding: 1, slots: slots, clients: clients)
        world.live(seconds: 600)
        #expect(world.collisions == 0)
        // Each model has the server for three loading times, and what runs then ends.
        #expect(world.loads < 600 / 9 && world.loads > 600 / 30)
        for model in ["x", "y"] {
            let waits = world.waits[model] ?? []
            #expect(waits.count > 50)
            #expect((waits.max() ?? .infinity) < 25)
        }
    }

    @Test("a client that thinks between its turns keeps its model meanwhile, while others wait, and not for ever")
    func thinking() {
        let clients = [Client(models: ["x"], pause: 1), .init(models: ["y"], pause: 1)]
        var world = SwapWorld(servers: 1, holding: 1, clients: clients)
        world.live(seconds: 600)
        // Without a rest, each request would find the other model: 600 s / (3 + 2) s = 120 loads.
        #expect(world.collisions == 0 && world.loads < 70)
        for model in ["x", "y"] { #expect((world.waits[model]?.max() ?? .infinity) < 25) }
    }

    @Test("a client that goes from one model to the other does not wait for itself")
    func alone() {
        var world = SwapWorld(servers: 1, holding: 1, clients: [Client(models: ["x", "y"], pause: 0.1)])
        world.live(seconds: 100)
        #expect(world.waits.values.allSatisfy { $0.allSatisfy { $0 == 0 } })
    }

    @Test("a third model has its turn, too")
    func three() {
        let clients = (0..<6).map { Client(models: [["x", "y", "z"][$0 % 3]], pause: 0.2) }
        for (servers, capacity) in [(1, 1), (1, 2), (2, 1)] {
            var world = SwapWorld(servers: servers, holding: capacity, clients: clients)
            world.live(seconds: 600)
            #expect(world.collisions == 0)
            for model in ["x", "y", "z"] {
                #expect((world.waits[model]?.max() ?? .infinity) < 45, "\(servers) \(capacity) \(model)")
            }
        }
    }

    @Test("a server that holds all models never lets one wait", arguments: [3, Int.max])
    func room(capacity: Int) {
        let clients = ["x", "y", "z"].map { Client(models: [$0], pause: 0.1) }
        var world = SwapWorld(servers: 1, holding: capacity, slots: 8, clients: clients)
        world.live(seconds: 100)
        #expect(world.loads == 3)
        #expect(world.waits.values.allSatisfy { $0.allSatisfy { $0 == 0 } })
    }

    @Test("an engine that does not say how many models it holds shows it")
    func learned() {
        let clients = ["x", "y"].map { Client(models: [$0], pause: 0.1) }
        var world = SwapWorld(servers: 1, holding: 2, slots: 8, tellsCapacity: false, clients: clients)
        world.live(seconds: 100)
        #expect(world.loads == 2)
        #expect(world.waits.values.allSatisfy { $0.dropFirst(2).allSatisfy { $0 == 0 } })
    }

    @Test("nobody waits for a swap when the line is full: then it is the engine that lets the request wait")
    func noLine() {
        var policy = RoutingPolicy()
        policy.maxWaiting = 0
        var scene = PricedScene([.init(name: "A", slots: 2, residency: .unloaded)], policy: policy, models: ["m", "n"])
        #expect(scene.ask(nil, client: "1").server == "A")
        #expect(scene.ask(nil, client: "2", model: "n").server == "A")
    }
}

import Foundation
import NIOPosix
import Proxy
import Routing
import Testing

@testable import App

@Suite("What is kept over a restart") struct LearnedMemoryTests {
    private let told = LogCollector()

    private func figures(_ seconds: Double) -> [SavedFigures] { [SavedFigures(server: "A", model: "m", tokenSeconds: seconds)] }

    /// A router that knows one server.
    private func router() -> SharedRouter {
        let router = SharedRouter(eventLoops: [MultiThreadedEventLoopGroup.singleton.next()])
        router.send(.fleetChanged(Fleet(servers: [.init(id: BackendID(rawValue: 1), name: "A")], routes: nil, fallback: nil)))
        return router
    }

    @Test("closing writes what is new, and nothing is written after it")
    func closing() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("memory-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let (file, router) = (StateFile(path: path), router())
        let memory = LearnedMemory(file, router: router, logger: told.logger)
        router.send(.figuresRestored(figures(0.01)))
        memory.close()
        #expect(try file.read() == router.savedFigures() && !router.savedFigures().isEmpty)
        try FileManager.default.removeItem(atPath: path)
        router.send(.figuresRestored(figures(0.02)))
        memory.write()
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    @Test("a file that cannot be written is told of once")
    func toldOnce() {
        let router = router()
        let memory = LearnedMemory(StateFile(path: "/nowhere/state.json"), router: router, logger: told.logger)
        router.send(.figuresRestored(figures(0.01)))
        for _ in 0..<3 { memory.write() }
        memory.close()
        #expect(told.lines.count { $0.contains("/nowhere/state.json") } == 1, "\(told.lines)")
    }
}

import NIOConcurrencyHelpers
import NIOCore
import NIOHTTP1
import NIOPosix
import Routing

@testable import Control

/// An engine that gives fixed answers to the paths it knows, and 404 to others.
final class DocumentServer: Sendable {
    struct Document: Sendable {
        var status = 200
        var server: String?
        /// Nil: never answers.
        var body: String? = ""
    }

    private let documents: NIOLockedValueBox<[String: Document]>
    private let targets = NIOLockedValueBox<[String]>([])
    private let channel: any Channel

    /// The paths that were asked for, in order.
    var asked: [String] { targets.withLockedValue { $0 } }
    var target: ProbeTarget { ProbeTarget(host: "127.0.0.1", port: channel.localAddress?.port ?? 0) }

    init(_ documents: [String: Document]) async throws {
        let documents = NIOLockedValueBox(documents)
        self.documents = documents
        let targets = targets
        channel = try await ServerBootstrap(group: TestFleet.group)
            .childChannelInitializer { channel in
                channel.pipeline.configureHTTPServerPipeline().flatMapThrowing {
                    try channel.pipeline.syncOperations.addHandler(
                        DocumentHandler { path in
                            targets.withLockedValue { $0.append(path) }
                            return documents.withLockedValue { $0[path] } ?? Document(status: 404)
                        })
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    func set(_ path: String, _ document: Document) { documents.withLockedValue { $0[path] = document } }

    func stop() async throws { try await channel.close() }
}

private final class DocumentHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let answer: (String) -> DocumentServer.Document

    init(answer: @escaping (String) -> DocumentServer.Document) { self.answer = answer }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .head(let head) = unwrapInboundIn(data) else { return }
        let document = answer(head.uri)
        guard let body = document.body else { return }
        var headers = HTTPHeaders([("Content-Length", "\(body.utf8.count)"), ("Connection", "close")])
        if let server = document.server { headers.add(name: "Server", value: server) }
        context.write(
            wrapOutboundOut(.head(.init(version: .http1_1, status: .init(statusCode: document.status), headers: headers))),
            promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: body)))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }
}

/// Calls `body` while a fleet of one server, which gives these answers, is probed.
func withDocuments(
    _ documents: [String: DocumentServer.Document], kind: EngineKind? = nil, timeout: Duration = .seconds(60),
    body: (DocumentServer, TestFleet) async throws -> Void
) async throws {
    let server = try await DocumentServer(documents)
    let fleet = try TestFleet(
        [.init(id: BackendID(rawValue: 1), name: "A", engine: server.target, kind: kind)], timeout: timeout)
    fleet.watch()
    let result: Result<Void, any Error>
    do { result = .success(try await body(server, fleet)) } catch { result = .failure(error) }
    fleet.monitor.stop()
    try await server.stop()
    try result.get()
}

package import NIOCore

/// Answers the balancer's own paths (implemented in `Control`). Called on the connection's loop; must not block.
///
/// Requests for `/admin/` are passed on only from callers that `KeyCheck` allows, or `LocalAccess` while no keys are configured.
package protocol LocalEndpoints: Sendable {
    func answer(_ request: LocalRequest) -> LocalAnswer
}

/// A request for one of the balancer's own paths.
package struct LocalRequest: Sendable {
    package var method: String
    /// As received, with its query.
    package var target: String
    package var body: [UInt8]
    /// The client's key; nil when none are configured, or the request needs none.
    package var key: ClientKey?
    /// The value of `Via` for requests that are made on behalf of this one, so that a loop of balancers is found.
    package var via: String
}

package enum LocalAnswer: Sendable {
    case now(LocalResponse)
    /// The future may complete on any loop.
    case later(EventLoopFuture<LocalResponse>)
    /// An endless `text/event-stream`. `begin` receives the sink on the connection's loop.
    case events(begin: @Sendable (EventSink) -> Void)
}

package struct LocalResponse: Sendable {
    package var status: Int
    package var contentType: String?
    package var headers: [(name: String, value: String)]
    package var body: [UInt8]

    package init(
        status: Int = 200, contentType: String? = "application/json", headers: [(name: String, value: String)] = [],
        body: [UInt8] = []
    ) {
        self.status = status
        self.contentType = contentType
        self.headers = headers
        self.body = body
    }
}

/// The destination for the events of a `LocalAnswer.events`.
package struct EventSink: Sendable {
    /// The loop on which `send` must be called.
    package let eventLoop: any EventLoop
    /// Completes when the client has disconnected.
    package let closed: EventLoopFuture<Void>
    private let runner: NIOLoopBound<ExchangeRunner>
    private let number: Int

    init(_ runner: ExchangeRunner, closed: EventLoopFuture<Void>) {
        eventLoop = runner.loop.eventLoop
        self.closed = closed
        self.runner = NIOLoopBound(runner, eventLoop: runner.loop.eventLoop)
        number = runner.requestNumber
    }

    /// Sends the bytes of one event. False when the client reads too slowly; the event is then skipped.
    package func send(_ bytes: [UInt8]) -> Bool {
        let runner = runner.value
        guard runner.stream.isWritable else { return false }
        runner.loop.handle(.exchange(runner, .feed(number: number, bytes)))
        return true
    }
}

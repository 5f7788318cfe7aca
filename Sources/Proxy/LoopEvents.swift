/// Something that has happened to one of a loop's connections or exchanges.
enum LoopEvent {
    case client(ClientHandler, ClientHandler.Event)
    case exchange(ExchangeRunner, ExchangeRunner.Event)

    func perform() {
        switch self {
        case .client(let handler, let event): handler.handle(event)
        case .exchange(let runner, let event): runner.handle(event)
        }
    }
}

/// Lets a loop's events through one at a time: what happens while one is being handled waits for its end.
struct LoopEvents {
    private var isHandling = false
    private var waiting: [LoopEvent] = []
    private var taken = 0

    /// True when the event may be handled now; then `next` has to be called until it is nil. Else it has been put into the line.
    mutating func enter(_ event: LoopEvent) -> Bool {
        if isHandling {
            waiting.append(event)
            return false
        }
        isHandling = true
        return true
    }

    /// What to handle after the event at hand; nil when that was all.
    mutating func next() -> LoopEvent? {
        guard taken < waiting.count else {
            if taken > 0 { waiting.removeAll(keepingCapacity: true) }
            taken = 0
            isHandling = false
            return nil
        }
        defer { taken += 1 }
        return waiting[taken]
    }
}

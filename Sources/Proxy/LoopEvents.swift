/// Something that has happened to one of a loop's connections or exchanges.
enum LoopEvent {
    case client(ClientHandler, ClientHandler.Event)
    case exchange(ExchangeRunner, ExchangeRunner.Event)

    consuming func perform() {
        switch consume self {
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

    /// True when an event may be handled now, and `end` has to be called; false while another one is.
    mutating func begin() -> Bool {
        guard !isHandling else { return false }
        isHandling = true
        return true
    }

    mutating func wait(_ event: consuming LoopEvent) { waiting.append(event) }

    /// What has waited longest; nil when nothing does.
    mutating func next() -> LoopEvent? {
        guard taken < waiting.count else {
            if taken > 0 { waiting.removeAll(keepingCapacity: true) }
            taken = 0
            return nil
        }
        defer { taken += 1 }
        return waiting[taken]
    }

    mutating func end() { isHandling = false }
}

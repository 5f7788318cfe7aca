/// An event of one of a loop's connections or exchanges.
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

/// Serialises a loop's events: an event that occurs while another one is being handled waits until that one is finished.
struct LoopEvents {
    private var isHandling = false
    private var waiting: [LoopEvent] = []
    private var taken = 0

    /// True when an event may be handled now; `end` must be called afterwards. False while another event is being handled.
    mutating func begin() -> Bool {
        guard !isHandling else { return false }
        isHandling = true
        return true
    }

    mutating func wait(_ event: consuming LoopEvent) { waiting.append(event) }

    /// The event that has waited longest; nil when none waits.
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

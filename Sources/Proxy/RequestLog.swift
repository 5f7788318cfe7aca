import Wire

/// A loop's part of the access log. Lines are collected and written together. The observer is told of every request
/// immediately.
struct RequestLog: ~Copyable {
    private static let longest = 64 << 10

    private let observer: (any RequestObserver)?
    private let sink: (any AccessLogSink)?
    private var lines = ByteWriter()
    private var clock = ClockText()

    init(observer: (any RequestObserver)?, sink: (any AccessLogSink)?) {
        self.observer = observer
        self.sink = sink
    }

    mutating func add(_ record: borrowing RequestRecord) {
        observer?.requestEnded(record)
        guard sink != nil else { return }
        record.write(into: &lines, &clock)
        if lines.count > Self.longest { flush() }
    }

    mutating func flush() {
        guard let sink, lines.count > 0 else { return }
        sink.write(lines.bytes)
        lines.reset()
    }
}

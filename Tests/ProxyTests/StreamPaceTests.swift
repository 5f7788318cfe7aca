import Proxy
import Routing
import Testing

@Suite("A stream has fallen silent")
struct StreamPaceTests {
    /// A stream of so many pieces, and the moment of the last one.
    private func stream(pieces: Int, gap: Interval) -> (pace: StreamPace, last: Moment) {
        var pace = StreamPace()
        var last = Moment.zero
        for _ in 0..<pieces {
            pace.pieceCame(at: last + gap, after: last)
            last = last + gap
        }
        return (pace, last)
    }

    @Test("after twenty seconds, however fast it was, once for each silence")
    func fast() {
        var (pace, last) = stream(pieces: 100, gap: .milliseconds(10))
        let early = pace.hasStalled(at: last + .seconds(20), since: last)
        #expect(!early)
        let late = pace.hasStalled(at: last + .milliseconds(20_001), since: last)
        #expect(late)
        let again = pace.hasStalled(at: last + .seconds(60), since: last)
        #expect(!again)
        let next = last + .seconds(60)
        pace.pieceCame(at: next, after: last)
        let afterNext = pace.hasStalled(at: next + .seconds(60), since: next)
        #expect(afterNext)
    }

    @Test("after twenty times its own usual gap when it is slow")
    func slow() {
        var (pace, last) = stream(pieces: 50, gap: .seconds(3))
        let early = pace.hasStalled(at: last + .seconds(60), since: last)
        #expect(!early)
        let late = pace.hasStalled(at: last + .seconds(61), since: last)
        #expect(late)
    }

    @Test("not while its pace is unknown: a first piece, then a long prefill of a tool's output, is honest work")
    func unknown() {
        var (pace, last) = stream(pieces: 7, gap: .milliseconds(10))
        let stalled = pace.hasStalled(at: last + .seconds(3600), since: last)
        #expect(!stalled)
    }
}

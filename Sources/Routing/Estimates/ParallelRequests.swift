/// How many requests an engine computes at the same time, if it does not say: found out from streams that began only when another
/// request had ended.
///
/// An engine with a fixed number of places shows it by the same number of streams each time that one has to wait. Where the number
/// differs, the first token was late for another reason, as in an engine that batches whatever comes.
struct ParallelRequests: Sendable {
    /// Streams in a row that waited for an end while the same number ran.
    private static let waitsUntilKnown = 4
    /// Answers until one request more is tried; the number doubles each time that it had to wait.
    private static let answersUntilTried = 32
    private static let mostAnswers = 4096

    /// The most streams that were generated at once.
    private(set) var most = 0
    private var waits = 0
    private var answers = 0
    private var answersWanted = Self.answersUntilTried

    /// Further requests wait inside the engine; nil while that has not been seen.
    var limit: Int? {
        guard waits >= Self.waitsUntilKnown else { return nil }
        return answers >= answersWanted ? most + 1 : most
    }

    /// A stream's first token came.
    ///
    /// - Parameters:
    ///   - generating: streams that are generated now, this one included.
    ///   - waited: it came later than expected, and soon after the end of another request.
    ///   - isLate: it came later than expected.
    mutating func began(generating: Int, waited: Bool, isLate: Bool) {
        if generating > most {
            // More at once than known.
            (most, waits) = (generating, 0)
        } else if waited, generating == most {
            waits += 1
            if answers >= answersWanted { answersWanted = min(Self.mostAnswers, answersWanted * 2) }
            answers = 0
        } else if isLate, waits < Self.waitsUntilKnown {
            // Late at another number: not for want of a place.
            waits = 0
        }
    }

    /// A request was answered.
    mutating func answered() { if waits >= Self.waitsUntilKnown { answers += 1 } }
}

extension Router {
    /// The first piece of a stream has come: `number` is its place among the server's jobs.
    mutating func noteParallelRequests(_ number: Int, _ index: Int, at now: Double) {
        // Of requests without a stream it is not seen whether they are computed, and each model has places of its own.
        let (job, jobs) = (backends[index].jobs[number], backends[index].jobs)
        guard backends[index].health.slots == 0, !backends[index].hasSlotsPerModel, !job.waitsForLoad,
            jobs.allSatisfy({ $0.isStream && $0.served == job.served })
        else { return }
        let late = now - job.sentAt - job.expectedSeconds
        let isLate = late > max(Self.leastLateness, job.expectedSeconds)
        let sinceEnd = now - backends[index].endedAt
        let waited = isLate && backends[index].endedAt > job.sentAt && sinceEnd < 2 * job.prefillSeconds + Self.leastLateness / 2
        backends[index].parallelRequests.began(
            generating: jobs.count { $0.firstByteAt != nil }, waited: waited, isLate: isLate)
    }

    /// Seconds. A smaller difference may be an error of what was expected.
    private static let leastLateness = 1.0
}

import Routing

/// Keys that were wrong, by the address that sent them. Who tries many is answered slowly.
struct FailedKeys {
    /// So many wrong keys in a minute are an old setting somewhere.
    static let freeAttempts = 10
    static let window = Interval.seconds(60)
    /// How late the answer to each further one is.
    static let delay = Interval.seconds(1)
    /// Of which something is remembered.
    static let mostAddresses = 4096

    private var attempts: [String: (count: Int, since: Moment)] = [:]

    /// Counts a wrong key. Returns whether its answer should be late.
    mutating func failed(_ address: String, at now: Moment) -> Bool {
        if var known = attempts[address], known.since + Self.window > now {
            known.count += 1
            attempts[address] = known
            return known.count > Self.freeAttempts
        }
        if attempts.count >= Self.mostAddresses {
            attempts = attempts.filter { $0.value.since + Self.window > now }
            if attempts.count >= Self.mostAddresses { attempts.removeAll() }
        }
        attempts[address] = (1, now)
        return false
    }
}

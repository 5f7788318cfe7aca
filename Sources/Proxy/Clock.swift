package import NIOCore
package import Routing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The only code of the data plane that reads a clock.
package enum Clock {
    /// The monotonic clock of the event loops.
    package static var now: Moment { Moment(nanoseconds: Int64(NIODeadline.now().uptimeNanoseconds)) }

    /// Milliseconds since 1970, for people and logs only.
    package static var wallMilliseconds: Int {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
    }
}

extension Moment {
    package var deadline: NIODeadline { .uptimeNanoseconds(UInt64(max(0, nanoseconds))) }
}

import Synchronization

/// A stored property of this type keeps a `~Copyable` struct in one place in memory, so that every call passes its address.
///
/// Without it the compiler copies such a struct to the stack, memberwise and for each call of a method that changes nothing: also one
/// that is not copyable. With a router of 1.2 KB and a dozen such calls, a request displaced much of a core's first cache
/// (docs/decisions/0032).
struct StaysInPlace: ~Copyable, Sendable {
    /// An atomic is what the compiler never moves while it is used. Its value means nothing.
    private let anchor = Atomic<Bool>(false)
}

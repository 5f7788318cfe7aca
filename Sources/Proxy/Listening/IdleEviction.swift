import NIOCore

/// Makes room for a client that waits to be accepted: the loop with the longest idle client, of all loops, closes this
/// client.
struct IdleEviction: Sendable {
    private let members: [(loop: any EventLoop, context: NIOLoopBound<LoopContext>)]

    init(_ loops: [any EventLoop], _ contexts: [NIOLoopBound<LoopContext>]) {
        members = Array(zip(loops, contexts)).map { (loop: $0, context: $1) }
    }

    /// - Parameter completion: called on `loop` with whether a client is being closed.
    func closeLongestIdle(tellOn loop: any EventLoop, completion: @escaping (Bool) -> Void) {
        let bound = NIOLoopBound(completion, eventLoop: loop)
        let members = members
        let times = members.map { member in member.loop.submit { member.context.value.clients.idle.longestSince } }
        EventLoopFuture.whenAllSucceed(times, on: loop).flatMap { times in
            let idle = zip(members, times).compactMap { member, since in since.map { (member: member, since: $0) } }
            guard let longest = idle.min(by: { $0.since < $1.since })?.member else { return loop.makeSucceededFuture(false) }
            return longest.loop.submit { longest.context.value.closeLongestIdle() }.hop(to: loop)
        }.whenComplete { result in
            bound.value((try? result.get()) ?? false)
        }
    }
}

import Routing

/// One loop's idle client connections, longest idle first. They are closed in this order when the connection limit is
/// reached.
///
/// A list linked by indices, so that each change has the same cost for any number of clients.
struct IdleConnections<Client: AnyObject> {
    /// The position of an idle connection in the list. Passed to `becameBusy`.
    struct Place: Equatable {
        fileprivate let index: Int
    }

    private struct Node {
        /// Nil in the ring's head and in free nodes.
        var client: Client?
        var since = Moment.zero
        var previous: Int
        var next: Int
    }

    /// The first node is the ring's head: its `next` is the longest idle connection, its `previous` the newest one.
    private var nodes = [Node(previous: 0, next: 0)]
    private var free: [Int] = []

    /// The number of nodes, in use or free: the most connections that were idle at the same time, plus one.
    var capacity: Int { nodes.count }

    var isEmpty: Bool { nodes[0].next == 0 }

    /// Since when the longest idle connection has been idle; nil when there is none.
    var longestSince: Moment? { isEmpty ? nil : nodes[nodes[0].next].since }

    /// From now on the connection may be closed for another client. `now` must not decrease from call to call.
    mutating func becameIdle(_ client: Client, at now: Moment) -> Place {
        let newest = nodes[0].previous
        let index: Int
        if let used = free.popLast() {
            index = used
            nodes[index] = Node(client: client, since: now, previous: newest, next: 0)
        } else {
            index = nodes.count
            nodes.append(Node(client: client, since: now, previous: newest, next: 0))
        }
        nodes[newest].next = index
        nodes[0].previous = index
        return Place(index: index)
    }

    /// The connection has received bytes, or it has ended.
    mutating func becameBusy(_ place: Place) {
        let node = nodes[place.index]
        guard node.client != nil else { return }
        nodes[node.previous].next = node.next
        nodes[node.next].previous = node.previous
        nodes[place.index].client = nil
        free.append(place.index)
    }

    /// The longest idle connections, at most `count`.
    func longest(_ count: Int) -> [Client] {
        var clients: [Client] = []
        var index = nodes[0].next
        while index != 0, clients.count < count {
            if let client = nodes[index].client { clients.append(client) }
            index = nodes[index].next
        }
        return clients
    }
}

import Routing

/// One loop's client connections that have nothing to do, longest idle first: whoever goes when places run out.
///
/// A list linked by indices, so that each change costs the same however many clients there are.
struct IdleConnections<Client: AnyObject> {
    /// Where in the list an idle connection stands; given back with `becameBusy`.
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

    /// The first one is the ring's head: its `next` is the longest idle connection, its `previous` the newest.
    private var nodes = [Node(previous: 0, next: 0)]
    private var free: [Int] = []

    /// Places that exist, taken or free: as many as were ever idle at once, and one.
    var capacity: Int { nodes.count }

    var isEmpty: Bool { nodes[0].next == 0 }

    /// How long the longest idle one has been so; nil when there is none.
    var longestSince: Moment? { isEmpty ? nil : nodes[nodes[0].next].since }

    /// From now on it may be closed for somebody else. `now` does not go back from call to call.
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

    /// Bytes have come, or it has ended.
    mutating func becameBusy(_ place: Place) {
        let node = nodes[place.index]
        guard node.client != nil else { return }
        nodes[node.previous].next = node.next
        nodes[node.next].previous = node.previous
        nodes[place.index].client = nil
        free.append(place.index)
    }

    /// The longest idle ones, at most so many.
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

import NIOCore
import Routing

/// One loop's pools, one for each configured server.
struct UpstreamPools {
    private let loop: any EventLoop
    private let dialer: any UpstreamDialer
    private var pools: [BackendID: UpstreamPool] = [:]
    private var retiredDials = 0
    private let room = IdleRoom()

    init(loop: any EventLoop, dialer: any UpstreamDialer) {
        self.loop = loop
        self.dialer = dialer
    }

    subscript(id: BackendID) -> UpstreamPool? { pools[id] }

    var all: [UpstreamPool] { Array(pools.values) }

    /// Connections opened since start.
    var dialled: Int { pools.values.reduce(retiredDials) { $0 + $1.dialled } }

    /// Replaces the endpoints. Pools of unchanged servers are kept.
    ///
    /// - Returns: the pools that are no longer needed; the caller retires them.
    mutating func replace(_ endpoints: [BackendEndpoint], idleLimit: Int) -> [UpstreamPool] {
        room.limit = idleLimit
        var old = pools
        pools = [:]
        for endpoint in endpoints {
            if let known = old[endpoint.id], known.endpoint == endpoint {
                pools[endpoint.id] = known
                old[endpoint.id] = nil
            } else {
                pools[endpoint.id] = UpstreamPool(endpoint: endpoint, room: room, loop: loop, dialer: dialer)
            }
        }
        for pool in old.values { retiredDials += pool.dialled }
        return Array(old.values)
    }
}

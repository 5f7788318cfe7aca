/// The key that a connection's last request has shown. Clients send the same one with each request, so it is not hashed again.
///
/// What was sent is not kept, only a hash of it whose seed is different in each process. Something else with the same hash would open what
/// this connection has opened before, and nothing more.
struct KnownKey {
    let hash: Int
    let key: ClientKey
    let isBasic: Bool
}

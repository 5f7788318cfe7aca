import NIOCore

extension ChannelHandlerContext {
    /// Sets whether the channel reads by itself. (A handler that holds back `read` events instead would be called for every
    /// `read` event, which costs time for each request and each event of a stream.)
    func setAutoRead(_ isOn: Bool) {
        // The only error is that the channel has been closed.
        try? channel.syncOptions?.setOption(.autoRead, value: isOn)
    }
}

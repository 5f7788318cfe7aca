import NIOCore

extension ChannelHandlerContext {
    /// Whether the channel goes on reading by itself. (A handler that holds back `read` events instead is asked for every one of
    /// them, which costs each request and each event of a stream.)
    func setAutoRead(_ isOn: Bool) {
        // The only error is that the channel has been closed.
        try? channel.syncOptions?.setOption(.autoRead, value: isOn)
    }
}

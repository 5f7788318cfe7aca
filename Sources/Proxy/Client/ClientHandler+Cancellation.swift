import NIOCore
import Routing
import Wire

/// Requests that are ended from here, not by their client or their server.
extension ClientHandler {
    func cancelledByAdministrator() {
        request.upstream?.close()
        request.upstream = nil
        if exchange.state == .relaying {
            if exchange.upstreamLost() == .endVisibly { breakAnswer("was told by an administrator to stop", isFault: false) }
            return
        }
        guard request.ticket != nil else { return }
        if exchange.state == .tunnelling || request.isDetached {
            // Whatever we said would be taken for the server's, or be heard by nobody.
            endRequest(.upstreamBroke)
            lingerAndClose()
            return exchange.finished()
        }
        withdraw()
        // A status that clients do not take as an invitation to try again.
        refuse(.init(status: 410, code: "request_cancelled", message: "An administrator cancelled this request."))
    }

    /// Takes the request back from the router and its server; nobody is to blame.
    func withdraw() {
        request.upstream?.close()
        request.upstream = nil
        guard let ticket = request.ticket else { return }
        request.ticket = nil
        loop.forget(ticket)
        loop.router.send(.requestCancelled(ticket), from: loop)
    }
}

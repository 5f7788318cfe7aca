import Proxy
import Testing

@Suite("The client's connection")
struct ConnectionStateTests {
    @Test("takes the next request when an answer has ended that keeps it")
    func keeps() {
        var connection = ClientConnectionState()
        #expect(connection.mayReadHead)
        connection.requestBegan(isLast: false)
        #expect(!connection.mayReadHead && !connection.closesAfterAnswer)
        expect(connection.answerEnded(), is: .nextRequest)
        #expect(connection.mayReadHead)
    }

    @Test("that yields takes its next request when the loop's next turn has come")
    func yields() {
        var connection = ClientConnectionState()
        connection.turnCame()
        #expect(connection.state == .expectingHead)
        connection.requestBegan(isLast: false)
        connection.turnCame()
        #expect(!connection.mayReadHead, "it is at a request")
        expect(connection.answerEnded(yields: true), is: .nextRequestLater)
        #expect(connection.takesInput && !connection.mayReadHead && !connection.closesAfterAnswer)
        connection.turnCame()
        #expect(connection.mayReadHead)
        connection.requestBegan(isLast: true)
        expect(connection.answerEnded(yields: true), is: .close, "its last answer is its last")
        connection.ended()
        connection.turnCame()
        #expect(connection.state == .closed)
    }

    @Test("ends with its last answer, whoever decided that")
    func closes() {
        for isLast in [true, false] {
            var connection = ClientConnectionState()
            connection.requestBegan(isLast: isLast)
            if !isLast { connection.closeAfterAnswer() }
            #expect(connection.closesAfterAnswer)
            expect(connection.answerEnded(), is: .close)
            expect(connection.closingBegan(), is: true)
            #expect(!connection.takesInput && !connection.mayReadHead)
            expect(connection.closingBegan(), is: false, "once is enough")
            expect(connection.answerEnded(), is: .nothing)
        }
    }

    @Test("takes no head while its answers are not taken")
    func answersUnread() {
        var connection = ClientConnectionState()
        expect(connection.gate.close(.answersUnread), is: .pause)
        #expect(!connection.mayReadHead)
        expect(connection.gate.open(.answersUnread), is: .resume)
        #expect(connection.mayReadHead)
    }

    @Test("stays open after its client's last word only for what is answered here, or waits to be answered")
    func inputEnded() {
        var answering = ClientConnectionState()
        answering.requestBegan(isLast: false)
        expect(answering.inputEnded(answersHere: true), is: true)
        var forwarding = ClientConnectionState()
        forwarding.requestBegan(isLast: false)
        expect(forwarding.inputEnded(answersHere: false), is: false)
        var yielding = ClientConnectionState()
        yielding.requestBegan(isLast: false)
        _ = yielding.answerEnded(yields: true)
        expect(yielding.inputEnded(answersHere: false), is: true)
        var idle = ClientConnectionState()
        expect(idle.inputEnded(answersHere: false), is: false)
        var unread = ClientConnectionState()
        _ = unread.gate.close(.answersUnread)
        expect(unread.inputEnded(answersHere: false), is: true)
        #expect(unread.inputHasEnded)
    }

    @Test("that has become a tunnel takes no request any more")
    func tunnel() {
        var connection = ClientConnectionState()
        connection.tunnelBegan()
        #expect(connection.state == .expectingHead, "only a request becomes a tunnel")
        connection.requestBegan(isLast: false)
        connection.tunnelBegan()
        #expect(connection.state == .tunnelling)
        #expect(connection.takesInput && !connection.mayReadHead && connection.closesAfterAnswer)
        expect(connection.answerEnded(), is: .close)
    }

    @Test("is over when the client has closed it")
    func ended() {
        var connection = ClientConnectionState()
        connection.requestBegan(isLast: false)
        connection.ended()
        #expect(!connection.takesInput)
        expect(connection.answerEnded(), is: .nothing)
        expect(connection.closingBegan(), is: false)
    }
}

@Suite("A reading gate")
struct ReadingGateTests {
    @Test("is closed while any reason holds, and tells each change once")
    func reasons() {
        var gate = ReadingGate()
        expect(gate.close(.clientSlow), is: .pause)
        expect(gate.close(.clientSlow), is: .none)
        expect(gate.close(.answerHeld), is: .none)
        expect(gate.open(.clientSlow), is: .none)
        expect(gate.open(.clientSlow), is: .none)
        expect(gate.open(.answerHeld), is: .resume)
        expect(gate.open(.answerHeld), is: .none)
    }

    @Test("opens for all reasons at once")
    func openForAll() {
        var gate = ReadingGate()
        expect(gate.openForAll(), is: .none)
        _ = gate.close(.sentAhead)
        _ = gate.close(.serverSlow)
        expect(gate.openForAll(), is: .resume)
        #expect(gate.reasons.isEmpty)
    }
}

@Suite("A request's body")
struct RequestBodyStateTests {
    private static let all: [RequestBodyState] = [.receiving, .whole, .pending, .streaming, .streamed, .abandoned]

    @Test("ends as what it was on its way to")
    func ends() {
        let expected: [RequestBodyState] = [.whole, .whole, .whole, .streamed, .streamed, .abandoned]
        for (before, after) in zip(Self.all, expected) {
            var body = before
            body.ended()
            #expect(body == after, "\(before)")
        }
    }

    @Test("is routed early only while it comes, and streamed only once it was routed early")
    func streams() {
        for before in Self.all {
            var body = before
            body.routedEarly()
            #expect(body == (before == .receiving ? .pending : before), "\(before)")
            body = before
            expect(body.streamingBegan(), is: (before == .pending), "\(before)")
            #expect(body == (before == .pending ? .streaming : before), "\(before)")
        }
    }

    @Test("is stopped only while more would come, and cannot be sent again then")
    func stops() {
        for before in Self.all {
            var body = before
            expect(body.stopped(), is: before.isIncomplete, "\(before)")
            if before.isIncomplete { #expect(body == .abandoned && !body.isRepeatable) }
        }
    }
}

@Suite("A connection to a server")
struct UpstreamAttemptStateTests {
    @Test("lives through a lease and back")
    func lease() {
        var state = UpstreamAttemptState.idle
        #expect(state.meaning == .unasked)
        state.leased(isReused: false)
        state.requestSent()
        #expect(state == .readingHead && state.meaning == .answer)
        state.headEnded()
        #expect(state == .readingBody && state.meaning == .answer)
        expect(state.givenBack(), is: true)
        #expect(state == .idle)
    }

    @Test("takes what comes on a kept one before the request is written for something older")
    func stale() {
        var state = UpstreamAttemptState.idle
        state.leased(isReused: true)
        #expect(state.meaning == .stale)
        state.requestSent()
        #expect(state.meaning == .answer)
        var fresh = UpstreamAttemptState.idle
        fresh.leased(isReused: false)
        #expect(fresh.meaning == .answer, "a new one has nothing older")
    }

    @Test("cannot be used again once it has ended")
    func ended() {
        for before in [UpstreamAttemptState.idle, .sending(isReused: true), .readingHead, .readingBody] {
            var state = before
            state.ended()
            expect(state.givenBack(), is: false)
            state.leased(isReused: true)
            #expect(state == .ended && state.meaning == .unasked)
        }
    }
}

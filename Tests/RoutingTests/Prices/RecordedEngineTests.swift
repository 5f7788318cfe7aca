import Testing

@testable import Routing

/// Plays a recording of a real engine, request for request, and compares what the router forecasts with what the engine found.
private struct Replay {
    private(set) var right = 0
    private(set) var requests = 0
    private(set) var wrong: [String] = []
    private var scene = PricedScene("one", slots: 4)
    private var running: [Int: (ticket: Ticket, forecast: Int)] = [:]

    init(_ recording: String) {
        for line in recording.split(separator: "\n") {
            let words = line.split(separator: " ")
            scene.pass(1)
            if words.first == Substring("B") {
                begin(words.dropFirst())
            } else {
                end(words.dropFirst().compactMap { word in Int(word) })
            }
        }
    }

    private mutating func begin(_ words: ArraySlice<Substring>) {
        guard let id = words.first.flatMap({ word in Int(word) }) else { return }
        var prompt = TestPrompt()
        for word in words.dropFirst() {
            let numbers = word.split(separator: ":").compactMap { number in Int(number) }
            prompt.append(numbers[0], tokens: numbers[1])
        }
        let asked = scene.ask(prompt, client: "client-\(id)")
        running[id] = (asked.ticket, asked.effects.grant(of: asked.ticket)?.cache?.tokens ?? -1)
    }

    private mutating func end(_ numbers: [Int]) {
        let (id, cached, prompt, answer) = (numbers[0], numbers[1], numbers[2], numbers[3])
        guard let (ticket, forecast) = running.removeValue(forKey: id) else { return }
        _ = scene.begin(ticket)
        _ = scene.finish(ticket, cached: cached, prompt: prompt - cached, answer: answer)
        requests += 1
        // The recording's messages are without what the template puts between them.
        if abs(forecast - cached) <= max(100, cached / 20) {
            right += 1
        } else {
            wrong.append("request \(id): \(forecast) of \(prompt) forecast, \(cached) found")
        }
    }
}

@Suite("What a real engine found in its cache")
struct RecordedEngineTests {
    /// Without copies of idle seats, only 37 of the first would be right.
    @Test("is what was forecast", arguments: zip([RecordedEngine.slotsOfTheirOwn, RecordedEngine.sharedMemory], [41, 39]))
    func forecast(recording: String, right: Int) {
        let replay = Replay(recording)
        #expect(replay.requests == 42)
        #expect(replay.right >= right, "\(replay.right) right, but \(replay.wrong)")
    }
}

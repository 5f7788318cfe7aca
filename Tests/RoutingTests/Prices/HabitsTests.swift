import Testing

@testable import Routing

@Suite("Habits")
struct HabitsTests {
    private func isNear(_ one: Double?, _ other: Double) -> Bool { one.map { abs($0 - other) <= 1e-9 * abs(other) } ?? false }

    @Test("a mean begins with its assumption and forgets it")
    func mean() {
        var mean = Mean(150, weight: 2, kept: 0.95)
        #expect(mean.value == 150)
        mean.add(300)
        #expect(isNear(mean.value, (285 + 300) / 2.9))
        for _ in 0..<300 { mean.add(40) }
        #expect(abs(mean.value - 40) < 0.01)
        #expect(Mean(9, weight: 0, kept: 0.95).value == 0)
    }

    @Test("a client's own mean is drawn towards that of all, with the weight of three samples")
    func drawn() {
        var own = Mean(0, weight: 0, kept: 0.95)
        #expect(own.drawn(towards: 150) == 150)
        own.add(30)
        #expect(isNear(own.drawn(towards: 150), (30 + 450) / 4))
    }

    @Test("a client's answers are expected as its own were, and a new client's as those of all")
    func answers() {
        var habits = Habits(conversationTime: 180)
        let (brief, new) = (habits.client("brief", at: 0), habits.client("new", at: 0))
        #expect(habits.expectations(of: new, model: "m")?.answerTokens == 150)
        for _ in 0..<100 {
            habits.answered(brief, model: "m", tokens: 20)
            habits.answered(habits.client("long", at: 0), model: "m", tokens: 1000)
        }
        #expect(habits.expectations(of: brief, model: "m").map { $0.answerTokens < 120 } ?? false)
        #expect(habits.expectations(of: habits.client("long", at: 0), model: "m").map { $0.answerTokens > 850 } ?? false)
        #expect(isNear(habits.expectations(of: new, model: "m")?.answerTokens, habits.answerTokens))
    }

    @Test("a client's answers are expected as that model's were, and of a model that it never used as its others")
    func answersOfModels() {
        var habits = Habits(conversationTime: 180)
        let client = habits.client("c", at: 0)
        for _ in 0..<100 {
            habits.answered(client, model: "thinks", tokens: 2000)
            habits.answered(client, model: "titles", tokens: 10)
        }
        func expected(_ model: String?) -> Double { habits.expectations(of: client, model: model)?.answerTokens ?? 0 }
        #expect(expected("thinks") > 1800 && expected("titles") < 200)
        #expect(isNear(expected("other"), expected(nil)) && expected(nil) > 800 && expected(nil) < 1200)
    }

    @Test("of each client a few models are remembered, those that it uses most; names that are too long are not")
    func fewModels() {
        var habits = Habits(conversationTime: 180)
        let client = habits.client("c", at: 0)
        let long = String(repeating: "x", count: 257)
        for _ in 0..<20 { habits.answered(client, model: "usual", tokens: 2000) }
        for number in 0..<20 {
            habits.answered(client, model: "\(number)", tokens: 10)
            habits.answered(client, model: "usual", tokens: 2000)
            habits.answered(client, model: long, tokens: 10)
        }
        #expect((0..<20).count { habits.clients.answer(of: client, model: "\($0)") != nil } == 3)
        #expect(habits.clients.answer(of: client, model: "usual").map { isNear($0.value, 2000) } ?? false)
        #expect(habits.clients.answer(of: client, model: long) == nil)
        #expect(habits.clients.answer(of: .none, model: "usual") == nil)
    }

    @Test("later turns are expected of those who go on, five at most, and hardly any of those who do not")
    func laterTurns() {
        var habits = Habits(conversationTime: 180)
        let (agent, single) = (habits.client("agent", at: 0), habits.client("single", at: 0))
        let conversation = Self.conversation
        #expect(isNear(habits.expectations(of: agent, model: "m")?.laterTurns, 1))
        for _ in 0..<200 {
            habits.arrived(agent, continues: conversation, pause: 2)
            habits.arrived(single, continues: nil, pause: nil)
        }
        #expect(habits.expectations(of: agent, model: "m")?.laterTurns == 5)
        #expect(habits.expectations(of: single, model: "m").map { $0.laterTurns < 0.1 } ?? false)
    }

    private static var conversation: SequenceID {
        var store = SequenceStore()
        return store.add(
            PromptSequence(
                chain: TestPrompt((1, 100)).chain, backend: Scene.id(1), served: 0, promptTokens: 100, tokens: 100, usedAt: 0,
                endedAt: nil, turns: 1))
    }

    @Test("pauses and turns that are too long for their kind count as long ones", arguments: [180, 18.0])
    func limits(conversationTime: Double) {
        var habits = Habits(conversationTime: conversationTime)
        #expect(isNear(habits.pause.value, conversationTime * 2 / 45) && habits.turn.value == 500)
        for _ in 0..<300 {
            habits.arrived(.none, continues: Self.conversation, pause: 1e6)
            habits.turned(1e6)
        }
        #expect(abs(habits.pause.value - conversationTime / 3) < 0.01 && abs(habits.turn.value - 8000) < 0.1)
    }

    @Test("service is remembered for half of the time of a conversation, and never below 0")
    func service() {
        var habits = Habits(conversationTime: 180)
        let client = habits.client("c", at: 0)
        habits.served(client, tokens: 1000, at: 10)
        #expect(isNear(habits.service(of: client, at: 100), 1000 * Exponential.decay(1)))
        habits.served(client, tokens: -5000, at: 100)
        #expect(habits.service(of: client, at: 100) == 0)
        #expect(habits.service(of: .none, at: 100) == 0 && habits.expectations(of: .none, model: "m") == nil)
    }
}

@Suite("The table of clients")
struct ClientTableTests {
    @Test("knows a client again by its name")
    func sameClient() {
        var table = ClientTable(serviceMemory: 90)
        let id = table.find("a")
        table.change(id) { $0.answer.add(7) }
        #expect(table.find("b") != id && table.find("a") == id)
        #expect(table.read(table.find("a")) { $0.answer.value } == 7)
    }

    @Test("forgets those that were not seen for long when there are too many, so ten thousand new ones take no more room")
    func eviction() {
        var table = ClientTable(serviceMemory: 90)
        let ids = (0..<8_192).map { table.find("client \($0)") }
        for id in ids { table.change(id) { $0.answer.add(1) } }
        let late = table.find("late")
        #expect(ids.count { table.read($0) { _ in } == nil } == 1)
        for number in 0..<10_000 {
            _ = table.find("new \(number)")
            _ = table.find("late")
        }
        #expect(ids.allSatisfy { table.read($0) { _ in } == nil }, "a reference to a forgotten client is harmless")
        for id in ids { table.change(id) { $0.answer.add(1000) } }
        #expect(table.find("late") == late, "which was seen all the time")
        #expect(table.read(late) { $0.answer.value } == 0, "and is nobody else")
        let again = table.find("client 5")
        #expect(table.read(again) { $0.answer.value } == 0 && table.count == 8_192)
    }

    @Test("a reference to a client of another table is harmless")
    func otherTable() {
        var (old, new) = (ClientTable(serviceMemory: 90), ClientTable(serviceMemory: 90))
        let id = (0..<5).map { old.find("\($0)") }[4]
        new.change(id) { $0.answer.add(1) }
        #expect(new.read(id) { _ in } == nil)
    }
}

import Testing

@testable import FakeBackend

@Suite("Slots")
struct SlotsTests {
    private let long = Array("A long conversation, whose first part does not change from turn to turn.".utf8)
    private let other = Array("Something else altogether, which has nothing in common with the first one.".utf8)

    @Test("a request beyond the slots waits until one is free, in the order of arrival")
    func queueing() {
        var slots = Slots(count: 1)
        #expect(slots.arrive(1, prompt: []) != nil)
        #expect(slots.arrive(2, prompt: []) == nil)
        #expect(slots.arrive(3, prompt: []) == nil)
        #expect(slots.waitingCount == 2)
        #expect(slots.leave(1)?.ticket == 2)
        #expect(slots.leave(2)?.ticket == 3)
        #expect(slots.leave(3) == nil)
        #expect(slots.busyCount == 0)
    }

    @Test("a waiting request that is cancelled gets no slot")
    func cancelledInLine() {
        var slots = Slots(count: 1)
        _ = slots.arrive(1, prompt: [])
        _ = slots.arrive(2, prompt: [])
        _ = slots.arrive(3, prompt: [])
        #expect(slots.leave(2) == nil)
        #expect(slots.leave(1)?.ticket == 3)
    }

    @Test("the slot that remembers most of the prompt is chosen, and tells how much")
    func similarity() {
        var slots = Slots(count: 3)
        #expect(slots.arrive(1, prompt: long) == Slots.Grant(ticket: 1, slot: 0, rememberedBytes: 0))
        _ = slots.leave(1)
        #expect(slots.arrive(2, prompt: other) == Slots.Grant(ticket: 2, slot: 1, rememberedBytes: 0))
        _ = slots.leave(2)
        let next = long + Array(" And a new question.".utf8)
        #expect(slots.arrive(3, prompt: next) == Slots.Grant(ticket: 3, slot: 0, rememberedBytes: long.count))
    }

    @Test("a prompt that has lost its slot is kept, and loaded when its conversation goes on")
    func kept() {
        var slots = Slots(count: 1)
        for (ticket, prompt) in [(1, long), (2, other)] {
            #expect(slots.arrive(ticket, prompt: prompt)?.rememberedBytes == 0)
            _ = slots.leave(ticket)
        }
        let next = long + Array(" And a new question.".utf8)
        #expect(slots.arrive(3, prompt: next)?.rememberedBytes == long.count)
        _ = slots.leave(3)
        #expect(slots.arrive(4, prompt: other)?.rememberedBytes == other.count)
        _ = slots.leave(4)
        // Of a prompt that has little of a kept one, little is worth loading.
        #expect(slots.arrive(5, prompt: Array(long.prefix(10)) + other)?.rememberedBytes == 0)
    }

    @Test("without a similar prompt, the least recently used slot is overwritten")
    func leastRecentlyUsed() {
        var slots = Slots(count: 2)
        for ticket in 1...2 { _ = slots.arrive(ticket, prompt: Array("\(ticket)".utf8)) }
        _ = slots.leave(2)
        _ = slots.leave(1)
        #expect(slots.arrive(3, prompt: long)?.slot == 0)
    }

    @Test("more slots let waiting requests start; fewer take away the free ones")
    func resizing() {
        var slots = Slots(count: 1)
        for ticket in 1...3 { _ = slots.arrive(ticket, prompt: []) }
        #expect(slots.resize(to: 3).map(\.ticket) == [2, 3])
        _ = slots.leave(3)
        #expect(slots.resize(to: 1).isEmpty)
        #expect(slots.holders == [1, 2])
    }
}

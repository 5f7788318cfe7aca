import Testing
import Wire

@testable import FakeBackend

@Suite("Faults and behaviours as text")
struct FaultTextTests {
    @Test("every fault reads back as the text it was written with", arguments: Fault.examples)
    func roundTrip(text: String) throws {
        #expect(try Fault(parsing: text).description == text)
    }

    @Test(
        "a fault that cannot be understood is refused with a remedy",
        arguments: [
            ("refuze", "one of refuse"), ("", "one of refuse"), ("status", "status=3"), ("status=x", "whole number"),
            ("reset-after-events=-1", "whole number"), ("fail-rate=2", "from 0 to 1"), ("malformed-head=x", "status-line"),
            ("fail-rate=0.5:nonsense", "unknown"),
        ])
    func refused(text: String, remedy: String) {
        let problem = #expect(throws: FaultProblem.self) { try Fault(parsing: text) }
        #expect(problem?.description.contains(remedy) == true)
    }

    @Test("a behaviour written as JSON can be applied to another")
    func behaviourRoundTrip() throws {
        let behaviour = Behaviour {
            $0.name = "pc1"
            $0.kind = .ollama
            $0.models = ["a", "b"]
            $0.slots = 2
            $0.prefillTokensPerSecond = 500
            $0.apiKey = "secret"
            $0.gpuBusy = true
            $0.fault = .sometimes(0.25, .status(503))
            $0.idleTimeout = nil
            $0.answersPerConnection = 7
        }
        var copy = Behaviour()
        try copy.apply(behaviour.json)
        #expect(copy == behaviour)
    }

    @Test("null takes a value away")
    func null() throws {
        var behaviour = Behaviour { $0.fault = .refuse }
        try behaviour.apply(["fault": nil])
        #expect(behaviour.fault == nil)
    }

    @Test(
        "what is not a behaviour is refused by name",
        arguments: [
            ("[]", "JSON object"), (#"{"slotz":1}"#, "slotz"), (#"{"slots":0}"#, "slots"), (#"{"fault":"x"}"#, "'x'"),
            (#"{"kind":"vllm"}"#, "kind"),
        ])
    func refusedBehaviour(text: String, named: String) throws {
        let json = try JSON(parsing: Array(text.utf8))
        var behaviour = Behaviour()
        let problem = #expect(throws: BehaviourProblem.self) { try behaviour.apply(json) }
        #expect(problem?.description.contains(named) == true)
    }
}

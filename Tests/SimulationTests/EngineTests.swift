import Testing

@testable import Simulation

@Suite("The modelled engine")
struct EngineTests {}

import Routing
import Simulation

/// What the command line asks for.
struct Options {
    static let usage = """
        simulate-dev [--agents N | --trace FILE | --documents PER_SECOND | --unique PER_SECOND | --chats PER_SECOND]
          --servers 4000,2500,1500,800   prefill tokens per second of each server
          --slots 2                      of each server
          --cache-tokens 300000          of each server's host prompt cache
          --rule R                       may be repeated; default: every rule
          --seed 1                       may be repeated
          --minutes 15                   how long agents and open loops ask
          --warm 120                     requests of the first so many seconds do not count
          --time-scale 1                 multiplies the times of a trace
          --speed-noise 0                deviation of the logarithm of a request's speed
          --one-address                  all agents have the same one
          --conversation-clients         each conversation of a trace is a client
          --slower SECONDS:SERVER:SPEED  a server's speed changes (may be repeated); servers count from 0
          --restart SECONDS:SERVER:DOWN  a server restarts and is down for so many seconds (may be repeated)
          --max-waiting N                further requests are refused; default: none is
        """

    var agents: Int?
    var trace: String?
    var steady: (shape: SteadyWorkload.Shape, perSecond: Double)?
    var servers = [4000.0, 2500, 1500, 800]
    var slots = 2
    var cacheTokens = 300_000
    var rules: [PickingRule] = []
    var seeds: [UInt64] = []
    var minutes = 15.0
    var warm = 0.0
    var timeScale = 1.0
    var speedNoise = 0.0
    var oneAddress = false
    var conversationClients = false
    var incidents: [SimulationSetup.Incident] = []
    var maxWaiting: Int?

    init(_ arguments: [String]) throws(OptionError) {
        var left = arguments[...]
        while let name = left.popFirst() {
            switch name {
            case "--one-address": oneAddress = true
            case "--conversation-clients": conversationClients = true
            default:
                guard let value = left.popFirst() else { throw OptionError("\(name) is unknown or needs a value") }
                try set(name, value)
            }
        }
        if rules.isEmpty { rules = PickingRule.allCases }
        if seeds.isEmpty { seeds = [1] }
        if agents == nil, trace == nil, steady == nil { agents = 6 }
    }

    private mutating func set(_ name: String, _ value: String) throws(OptionError) {
        switch name {
        case "--agents": agents = try number(name, value)
        case "--trace": trace = value
        case "--documents": steady = (.documents, try number(name, value))
        case "--unique": steady = (.unique, try number(name, value))
        case "--chats": steady = (.chats, try number(name, value))
        case "--servers":
            servers = []
            for part in value.split(separator: ",") { servers.append(try number(name, String(part))) }
        case "--slots": slots = try number(name, value)
        case "--cache-tokens": cacheTokens = try number(name, value)
        case "--rule":
            guard let rule = PickingRule(rawValue: value) else {
                throw OptionError("no rule \(value); there are: \(PickingRule.allCases.map(\.rawValue))")
            }
            rules.append(rule)
        case "--seed": seeds.append(try number(name, value))
        case "--minutes": minutes = try number(name, value)
        case "--warm": warm = try number(name, value)
        case "--time-scale": timeScale = try number(name, value)
        case "--speed-noise": speedNoise = try number(name, value)
        case "--max-waiting": maxWaiting = try number(name, value)
        case "--slower": incidents.append(try incident(name, value) { .speed($0) })
        case "--restart": incidents.append(try incident(name, value) { .restart(downSeconds: $0) })
        default: throw OptionError("unknown option \(name)")
        }
    }

    private func incident(
        _ name: String, _ value: String, _ kind: (Double) -> SimulationSetup.Incident.Kind
    ) throws(OptionError) -> SimulationSetup.Incident {
        let parts = value.split(separator: ":").map(String.init)
        guard parts.count == 3 else { throw OptionError("\(name) \(value): three numbers are needed") }
        return .init(at: try number(name, parts[0]), server: try number(name, parts[1]), kind(try number(name, parts[2])))
    }

    private func number<Number: LosslessStringConvertible>(_ name: String, _ value: String) throws(OptionError) -> Number {
        guard let number = Number(value) else { throw OptionError("\(name) \(value): not a number") }
        return number
    }
}

/// Why the command line cannot be followed.
struct OptionError: Error {
    let message: String

    init(_ message: String) { self.message = message }
}

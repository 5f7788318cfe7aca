/// How much the servers have done for each client lately, in tokens: prompt tokens that were computed, and twice the tokens of answers.
/// What was found in a cache is free. Who has had least comes first in the line.
struct AttainedService: Sendable {
    private static let rememberedClients = 4_096

    private let timeConstant: Double
    /// The clients served lately, and those served before: what is not in either is forgotten.
    private var clients: [String: DecayingSum] = [:]
    private var earlierClients: [String: DecayingSum] = [:]

    /// - Parameter timeConstant: seconds after which service counts 1/e.
    init(timeConstant: Double) { self.timeConstant = timeConstant }

    func tokens(of client: String, at now: Double) -> Double {
        (clients[client] ?? earlierClients[client])?.value(at: now) ?? 0
    }

    mutating func add(_ tokens: Double, to client: String, at now: Double) {
        if clients[client] == nil {
            if clients.count >= Self.rememberedClients {
                earlierClients = clients
                clients = [:]
            }
            clients[client] = earlierClients[client] ?? DecayingSum(timeConstant: timeConstant)
        }
        clients[client]?.add(tokens, at: now)
    }
}

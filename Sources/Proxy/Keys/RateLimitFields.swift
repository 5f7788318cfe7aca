import Routing
import Wire

/// The fields in which OpenAI tells clients what is left of their limits. Their clients read them to slow down.
extension KeyStanding {
    var fields: [(name: String, value: String)] {
        var fields: [(name: String, value: String)] = []
        for (amount, unit) in [(requests, "requests"), (tokens, "tokens")] {
            guard let amount else { continue }
            fields.append(("x-ratelimit-limit-\(unit)", String(amount.limit)))
            fields.append(("x-ratelimit-remaining-\(unit)", String(amount.left)))
            // A duration as OpenAI writes it.
            fields.append(("x-ratelimit-reset-\(unit)", "\(amount.wholeInSeconds)s"))
        }
        return fields
    }
}

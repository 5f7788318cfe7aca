import Wire

/// A change of behaviour that could not be understood: the key, its value and what would be valid.
package struct BehaviourProblem: Error, Equatable, Sendable, CustomStringConvertible {
    package let description: String
}

extension Behaviour {
    /// Changes what a `POST /fake/behaviour` names: the keys of `json`, written with underscores. Null resets to "none".
    mutating func apply(_ json: JSON) throws(BehaviourProblem) {
        guard let members = json.objectValue else {
            throw BehaviourProblem(description: "the behaviour must be a JSON object, such as {\"fault\":\"status=503\"}")
        }
        for member in members {
            guard try set(member.name, to: member.value) else {
                throw BehaviourProblem(description: "\(member.name): cannot be \(member.value.text)")
            }
        }
    }

    /// Sets one key; false when the value is of the wrong kind.
    private mutating func set(_ key: String, to value: JSON) throws(BehaviourProblem) -> Bool {
        switch key {
        case "name": return assign(&name, value.stringValue, null: value == .null)
        case "kind": return assign(&kind, value.stringValue.flatMap(Kind.init(rawValue:)))
        case "models": return assign(&models, value.arrayValue?.compactMap(\.stringValue))
        case "slots": return assign(&slots, value.intValue.flatMap { Behaviour.possibleSlots.contains($0) ? $0 : nil })
        case "context_tokens": return assign(&contextTokens, value.intValue)
        case "prefill_tokens_per_second":
            return assign(&prefillTokensPerSecond, value.doubleValue.flatMap { $0 > 0 ? $0 : nil }, null: value == .null)
        case "decode_tokens_per_second":
            return assign(&decodeTokensPerSecond, value.doubleValue.flatMap { $0 > 0 ? $0 : nil }, null: value == .null)
        case "answer_tokens": return assign(&answerTokens, value.intValue)
        case "longest_answer": return assign(&longestAnswer, value.intValue)
        case "api_key": return assign(&apiKey, value.stringValue, null: value == .null)
        case "gpu_busy": return assign(&gpuBusy, value.boolValue)
        case "is_sleeping": return assign(&isSleeping, value.boolValue)
        case "fault":
            do throws(FaultProblem) {
                return assign(&fault, try value.stringValue.map(Fault.init(parsing:)), null: value == .null)
            } catch {
                throw BehaviourProblem(description: error.description)
            }
        case "closes_after_stream": return assign(&closesAfterStream, value.boolValue)
        case "closes_after_error": return assign(&closesAfterError, value.boolValue)
        case "idle_timeout_ms":
            return assign(&idleTimeout, value.intValue.map { .milliseconds($0) }, null: value == .null)
        case "answers_per_connection": return assign(&answersPerConnection, value.intValue)
        default:
            throw BehaviourProblem(description: "\(key): no such key; GET /fake/behaviour shows them all")
        }
    }

    /// All keys with their values, as `apply` reads them.
    var json: JSON {
        [
            "name": JSON(name), "kind": .string(kind.rawValue), "models": .array(models.map { .string($0) }),
            "slots": JSON(slots), "context_tokens": JSON(contextTokens),
            "prefill_tokens_per_second": prefillTokensPerSecond.map { JSON($0) } ?? .null,
            "decode_tokens_per_second": decodeTokensPerSecond.map { JSON($0) } ?? .null,
            "answer_tokens": JSON(answerTokens), "longest_answer": JSON(longestAnswer),
            "api_key": JSON(apiKey), "gpu_busy": .bool(gpuBusy), "is_sleeping": .bool(isSleeping),
            "fault": JSON(fault?.description), "closes_after_stream": .bool(closesAfterStream),
            "closes_after_error": .bool(closesAfterError),
            "idle_timeout_ms": idleTimeout.map { JSON(Int($0 / .milliseconds(1))) } ?? .null,
            "answers_per_connection": JSON(answersPerConnection),
        ]
    }
}

/// Assigns a value if there is one; false if not.
private func assign<Value>(_ target: inout Value, _ value: Value?) -> Bool {
    guard let value else { return false }
    target = value
    return true
}

/// The same for an optional; JSON's null sets it to nil.
private func assign<Value>(_ target: inout Value?, _ value: Value?, null: Bool) -> Bool {
    guard value != nil || null else { return false }
    target = value
    return true
}

package import Routing
package import Wire

/// Parses what engines report about themselves. Pure functions: bytes in, values out.
package enum EngineReports {
    /// The original's `/llmhealth`: JSON, or the plain words `idle` and `busy`; any other word means busy. Nil when the body
    /// is neither JSON with a status nor a word.
    package static func llmhealth(_ body: [UInt8]) -> BackendReport? {
        if let json = try? JSON(parsing: body), json.objectValue != nil {
            guard let status = json["status"]?.stringValue else { return nil }
            return BackendReport(isBusy: status != "idle", gpuUtilisation: json["gpu_util_max5s"]?.doubleValue)
        }
        let word = String(decoding: body.prefix(64), as: UTF8.self).filter { !$0.isWhitespace && $0 != "\"" }
        return word.isEmpty ? nil : BackendReport(isBusy: word.lowercased() != "idle")
    }

    /// llama-server's `/slots`. Nil when the body is not a list of slots (`/slots` is disabled, or needs a model).
    package static func slots(_ body: [UInt8]) -> BackendReport.Slots? {
        guard let list = (try? JSON(parsing: body))?.arrayValue, !list.isEmpty else { return nil }
        return .init(total: list.count, busy: list.count { $0["is_processing"]?.boolValue == true })
    }

    /// llama-server's `/props`.
    package static func props(_ body: [UInt8]) -> (totalSlots: Int?, isSleeping: Bool)? {
        guard let json = try? JSON(parsing: body), json.objectValue != nil else { return nil }
        return (json["total_slots"]?.intValue, json["is_sleeping"]?.boolValue ?? false)
    }

    /// One model of a list: its name, and all fields that the engine reports for it.
    package struct Model: Sendable, Equatable {
        package var id: String
        package var entry: JSON
    }

    /// `/v1/models` (`data[].id`) or Ollama's older `models[].name`. Nil when it is neither.
    package static func models(_ body: [UInt8]) -> [Model]? {
        guard let json = try? JSON(parsing: body) else { return nil }
        guard let list = json["data"]?.arrayValue ?? json["models"]?.arrayValue else { return nil }
        return list.compactMap { entry in
            guard let id = entry["id"]?.stringValue ?? entry["name"]?.stringValue, !id.isEmpty else { return nil }
            return Model(id: id, entry: entry)
        }
    }

    /// Detects the engine from the `Server` field and the model list. Nil when they do not identify it.
    package static func kind(server: String?, models: [Model]?) -> EngineKind? {
        if server?.lowercased().hasPrefix("llama.cpp") == true { return .llamaServer }
        switch models?.first?.entry["owned_by"]?.stringValue {
        case "llamacpp": return .llamaServer
        case "vllm": return .vllm
        case "sglang": return .sglang
        case "library": return .ollama
        case nil: return models == nil ? nil : .openai
        case .some: return .openai
        }
    }
}

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
        // Versions of 2024, such as llamafile's, have `state`: 0 is idle.
        return .init(
            total: list.count, busy: list.count { $0["is_processing"]?.boolValue ?? ($0["state"]?.intValue ?? 0 != 0) })
    }

    /// Whether this answer to `/health` comes from a llama-server of 2024 or older, such as llamafile's. It answers `/health` between
    /// two batches of a prompt only, and has no streams that can be resumed.
    static func isOldLlamaServer(_ body: [UInt8]) -> Bool { (try? JSON(parsing: body))?["slots_idle"] != nil }

    /// llama-server's `/props`.
    package static func props(_ body: [UInt8]) -> Properties? {
        guard let json = try? JSON(parsing: body), json.objectValue != nil else { return nil }
        let context = json["default_generation_settings"]?["n_ctx"]?.intValue
        return Properties(
            totalSlots: json["total_slots"]?.intValue, isSleeping: json["is_sleeping"]?.boolValue ?? false,
            contextTokens: context.flatMap { $0 > 0 ? $0 : nil }, sees: json["modalities"]?["vision"]?.boolValue,
            routerMode: RouterMode(json))
    }

    package struct Properties: Sendable, Equatable {
        package var totalSlots: Int?
        package var isSleeping: Bool
        /// Of one slot.
        package var contextTokens: Int?
        /// The model takes images.
        package var sees: Bool?
        /// Nil of a server that has its model itself.
        package var routerMode: RouterMode?
    }

    /// One model of a list, with all fields that the engine reports for it.
    package struct Model: Sendable, Equatable {
        package var id: String
        /// Its entry in `/v1/models`.
        package var entry: JSON
        /// Its entry in Ollama's form: in Ollama's `/api/tags`, and in llama-server's `/v1/models` beside `data`.
        package var description: JSON?
        /// Its entry in Ollama's `/api/ps`, when it is loaded.
        package var running: JSON?
        /// Whether it is in memory, when the engine says so elsewhere than in `entry`.
        package var residency: ListedModel.Residency?
        /// What its own process has told, in llama-server's router mode.
        package var process: ModelProcess?
        /// Tokens that the engine's prompt cache holds, when it tells.
        package var cacheTokens: Int?

        package init(id: String, entry: JSON, description: JSON? = nil) {
            self.id = id
            self.entry = entry
            self.description = description
        }

        /// What the router needs to know of it.
        package var listed: ListedModel {
            ListedModel(
                id, aliases: entry["aliases"]?.arrayValue?.compactMap(\.stringValue) ?? [],
                residency: residency ?? statedResidency, traits: traits, slots: process?.slots,
                cacheTokens: cacheTokens)
        }

        /// The engine can be asked for it: llama-server answers 400 while it downloads a model, and until it has read its models again.
        package var isAvailable: Bool {
            switch entry["status"]?["value"]?.stringValue {
            case "downloading", "downloaded": false
            case nil, .some: true
            }
        }

        /// llama-server's router mode has `status.value`, LM Studio `state`.
        private var statedResidency: ListedModel.Residency? {
            switch entry["status"]?["value"]?.stringValue ?? entry["state"]?.stringValue {
            case "loaded", "ready": .loaded
            case "loading", "starting", "sleeping": .loading
            case "unloaded" where entry["status"]?["failed"] == true: .failed
            case "failed": .failed
            case "unloaded", "not-loaded", "stopped", "downloading", "downloaded": .unloaded
            case nil, .some: nil
            }
        }

        /// vLLM has `max_model_len`, llama-server `meta.n_ctx`, Ollama tells it of loaded models, LM Studio of all.
        private var contextTokens: Int? {
            if let told = process?.contextTokens { return told }
            let stated =
                entry["max_model_len"] ?? entry["meta"]?["n_ctx"] ?? running?["context_length"]
                ?? entry["loaded_context_length"]
            return stated?.intValue.flatMap { $0 > 0 ? $0 : nil }
        }

        /// llama-server and Ollama list what a model can do.
        private var sees: Bool? {
            if let told = process?.sees { return told }
            let capabilities = (entry["capabilities"] ?? description?["capabilities"])?.arrayValue?.compactMap(\.stringValue)
            return capabilities.map { $0.contains("vision") || $0.contains("multimodal") } ?? listsImages
        }

        /// Before it has loaded a model, a router knows of images by the model's files. It may have failed to read them, so only a yes counts.
        private var listsImages: Bool? {
            entry["architecture"]?["input_modalities"]?.arrayValue?.contains("image") == true ? true : nil
        }

        /// llama-server has `meta`, Ollama `details` and `size`, LM Studio `arch` and `quantization`.
        private var traits: ModelTraits {
            let (meta, details) = (entry["meta"], description?["details"] ?? entry["details"])
            // llama-server leaves some of them empty.
            func text(_ json: JSON?) -> String? {
                let text = json?.stringValue ?? json?.intValue.map(String.init)
                return text?.isEmpty == false ? text : nil
            }
            return ModelTraits(
                parameters: text(meta?["n_params"]) ?? text(details?["parameter_size"]),
                family: text(details?["family"]) ?? text(entry["arch"]) ?? text(meta?["n_embd"]),
                quantization: text(details?["quantization_level"]) ?? text(entry["quantization"]),
                bytes: meta?["size"]?.intValue ?? (description?["size"] ?? entry["size"])?.intValue,
                contextTokens: contextTokens, sees: sees)
        }
    }

    /// `/v1/models` (`data[].id`, in llama-server with `models[]` beside it) or Ollama's `models[].name`. Nil when it is
    /// neither.
    package static func models(_ body: [UInt8]) -> [Model]? {
        guard let json = try? JSON(parsing: body) else { return nil }
        // Ollama without models says `"data": null`.
        if json["data"] == .null { return [] }
        let descriptions = json["models"]?.arrayValue ?? []
        guard let list = json["data"]?.arrayValue else {
            guard json["models"] != nil else { return nil }
            return descriptions.compactMap { entry in name(entry).map { Model(id: $0, entry: entry, description: entry) } }
        }
        let byName = Dictionary(descriptions.compactMap { entry in name(entry).map { ($0, entry) } }) { first, _ in first }
        return list.compactMap { entry in
            name(entry).map { Model(id: $0, entry: entry, description: byName[$0]) }
        }
    }

    private static func name(_ entry: JSON) -> String? {
        let name = entry["id"]?.stringValue ?? entry["name"]?.stringValue ?? entry["model"]?.stringValue
        return name?.isEmpty == false ? name : nil
    }

    // MARK: Which engine it is

    /// Detects the engine from the `Server` field and the model list. Nil when there is no model list; `openai` when the list
    /// does not identify the engine.
    package static func kind(server: String?, models: [Model]?) -> EngineKind? {
        if isLlamaServer(server) { return .llamaServer }
        guard let models else { return nil }
        switch models.first?.entry["owned_by"]?.stringValue {
        case "llamacpp": return .llamaServer
        case "vllm": return .vllm
        case "sglang": return .sglang
        case "llama-swap": return .llamaSwap
        case "library": return .ollama
        case nil, .some: return .openai
        }
    }

    private static func isLlamaServer(_ server: String?) -> Bool { server?.lowercased().hasPrefix("llama.cpp") == true }

    /// Whether the owner of the first model may only be a namespace in its name, as in Ollama's `hf.co/vllm/m`. Then it does not
    /// identify the engine.
    static func ownerIsNamespace(server: String?, _ models: [Model]?) -> Bool {
        guard !isLlamaServer(server), let model = models?.first, let owner = model.entry["owned_by"]?.stringValue else {
            return false
        }
        return model.id.split(separator: "/").dropLast().contains { $0 == owner }
    }

    /// Something that only one kind of engine shows.
    struct Sign: Sendable {
        let kind: EngineKind
        let path: String
        let isShown: @Sendable ([UInt8]) -> Bool
    }

    /// Signs of engines whose model list does not identify them. None of these requests loads a model.
    static let signs: [Sign] = [
        // Ollama without models, or with models from elsewhere than its own library.
        Sign(kind: .ollama, path: "/") { String(decoding: $0.prefix(64), as: UTF8.self).hasPrefix("Ollama is running") },
        Sign(kind: .lmStudio, path: "/api/v0/models") { body in
            (try? JSON(parsing: body))?["data"]?.arrayValue?.contains { $0["state"] != nil } == true
        },
        Sign(kind: .llamaSwap, path: "/running") { (try? JSON(parsing: $0))?["running"]?.arrayValue != nil },
    ]

    // MARK: Which models are loaded

    // A body is nil when the engine gave no good answer. Then the last one counts.

    /// Ollama's models with what `/api/tags` and `/api/ps` say of them.
    static func ollama(_ models: [Model], tags: [UInt8]?, running: [UInt8]?, last: [Model] = []) -> [Model] {
        let described = byID(tags.flatMap(self.models), name: ModelName.withoutLatest)
        let loaded = byID(running.flatMap(self.models), name: ModelName.withoutLatest)
        let known = byID(last) ?? [:]
        return models.map { model in
            var model = model
            // LocalAI, which can pose as Ollama, adds `:latest` here.
            let name = ModelName.withoutLatest(model.id)
            model.description = described.map { $0[name]?.entry } ?? known[model.id]?.description
            model.running = loaded.map { $0[name]?.entry } ?? known[model.id]?.running
            guard loaded != nil else {
                model.residency = known[model.id]?.residency
                return model
            }
            return model.with(model.running == nil ? .unloaded : .loaded)
        }
    }

    /// LM Studio's models, each with the state that its own list has. That list also has models that are not served.
    static func lmStudio(_ models: [Model], detailed: [UInt8]?, last: [Model] = []) -> [Model] {
        let known = byID(detailed.flatMap(self.models)) ?? byID(last) ?? [:]
        return models.map { known[$0.id] ?? $0 }
    }

    private static func byID(_ models: [Model]?, name: (String) -> String = { $0 }) -> [String: Model]? {
        models.map { Dictionary($0.map { (name($0.id), $0) }) { first, _ in first } }
    }

    /// llama-swap's models with the states of those that run.
    static func llamaSwap(_ models: [Model], running: [UInt8]?, last: [Model] = []) -> [Model] {
        guard let running, let list = (try? JSON(parsing: running))?["running"]?.arrayValue else {
            let known = byID(last) ?? [:]
            return models.map { known[$0.id] ?? $0 }
        }
        let states = Dictionary(list.map { ($0["model"]?.stringValue, $0["state"]?.stringValue) }) { first, _ in first }
        return models.map { model in
            // `/running` has only the models' own names; other names of them have an entry that says which model they are.
            let isOtherName = states[model.id] == nil && model.entry["status"]?["value"] != nil
            guard let state = states[model.id] ?? states[model.entry["meta"]?["llamaswap"]?["modelID"]?.stringValue] else {
                return isOtherName ? model : model.with(.unloaded)
            }
            return switch state {
            case .some("ready"): model.with(.loaded)
            case .some("starting"): model.with(.loading)
            case nil, .some: model.with(.unloaded)
            }
        }
    }
}

extension EngineReports.Model {
    func with(_ residency: ListedModel.Residency) -> EngineReports.Model {
        var copy = self
        copy.residency = residency
        return copy
    }
}

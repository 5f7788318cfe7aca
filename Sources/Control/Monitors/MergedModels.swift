import Proxy
package import Wire
import Routing

/// The models of several servers, as one list in the form of each API.
///
/// A model keeps all fields of the first server that lists it. Its status comes from the server where it is loaded, and its
/// capabilities are those of all servers together.
package struct MergedModels: Sendable {
    /// By name, without `:latest`.
    private var models: [String: EngineReports.Model] = [:]

    mutating func add(_ model: EngineReports.Model) {
        let name = ModelName.withoutLatest(model.id)
        guard var known = models[name] else {
            models[name] = model
            return
        }
        if let theirs = model.listed.residency, known.listed.residency.map({ theirs < $0 }) ?? true {
            known.residency = theirs
            for field in ["status", "state"] {
                if known.entry[field] != nil, let value = model.entry[field] {
                    known.entry = known.entry.setting(field, to: value)
                }
            }
        }
        known.running = known.running ?? model.running
        known.description = Self.merged(known.description, model.description)
        models[name] = known
    }

    /// Adds names of models that the configuration has, unless a server lists the same name.
    package mutating func add(names: [String]) {
        for name in names where models[name] == nil {
            models[name] = EngineReports.Model(id: name, entry: ["id": .string(name), "owned_by": "llama-balancer"])
        }
    }

    /// Leaves out the models that the key may not be used for.
    mutating func keepOnly(for key: ClientKey?) {
        guard let patterns = key?.models else { return }
        var good = PatternSet(patterns)
        models = models.filter { good.matches($0.key) }
    }

    /// All models, sorted by name.
    var all: [EngineReports.Model] { models.sorted { $0.key < $1.key }.map(\.value) }

    /// OpenAI's `/v1/models`; with `models[]` in addition where engines describe their models.
    ///
    /// llama-server's own page pairs the entries of both lists by their place, and needs a status of every model if one has it.
    package var openAI: JSON {
        let hasStatus = all.contains { $0.entry["status"] != nil }
        let data = all.map { Self.entry($0, needsStatus: hasStatus) }
        var members: [JSON.Member] = [.init(name: "object", value: "list"), .init(name: "data", value: .array(data))]
        if all.contains(where: { $0.description != nil }) {
            members.append(.init(name: "models", value: .array(all.map { $0.description ?? Self.tag($0) })))
        }
        return .object(members)
    }

    /// Ollama's `/api/tags`.
    package var ollamaTags: JSON { ["models": .array(all.map(Self.tag))] }

    /// Ollama's `/api/ps`: the models that are in memory.
    package var ollamaRunning: JSON {
        let loaded = all.filter { $0.running != nil || $0.listed.residency == .loaded }
        return ["models": .array(loaded.map { $0.running ?? Self.tag($0) })]
    }

    /// Adds the fields that OpenAI's clients need and the engine omits.
    private static func entry(_ model: EngineReports.Model, needsStatus: Bool) -> JSON {
        guard var members = model.entry.objectValue else { return ["id": .string(model.id), "object": "model"] }
        if model.entry["id"] == nil { members.insert(.init(name: "id", value: .string(model.id)), at: 0) }
        if model.entry["object"] == nil { members.append(.init(name: "object", value: "model")) }
        if needsStatus, model.entry["status"] == nil {
            let status: JSON =
                switch model.listed.residency {
                case nil, .loaded: "loaded"
                case .loading: "loading"
                case .unloaded, .failed: "unloaded"
                }
            members.append(.init(name: "status", value: ["value": status]))
        }
        return .object(members)
    }

    /// Ollama's clients need `name`, `model`, `size`, `digest` and `modified_at`.
    private static func tag(_ model: EngineReports.Model) -> JSON {
        var tag = model.description ?? ["name": .string(model.id), "model": .string(model.id)]
        let needed: [(String, JSON)] = [
            ("name", .string(model.id)), ("model", .string(model.id)), ("modified_at", "1970-01-01T00:00:00Z"),
            ("size", JSON(model.listed.traits.bytes ?? 0)), ("digest", ""), ("details", [:]),
        ]
        // llama-server leaves some of them empty, which Ollama's clients cannot parse.
        for (name, value) in needed where tag[name] == nil || tag[name] == "" && value != "" {
            tag = tag.setting(name, to: value)
        }
        return tag
    }

    private static func merged(_ one: JSON?, _ other: JSON?) -> JSON? {
        guard let one else { return other }
        guard let more = other?["capabilities"]?.arrayValue, let known = one["capabilities"]?.arrayValue else { return one }
        return one.setting("capabilities", to: .array(known + more.filter { !known.contains($0) }))
    }
}

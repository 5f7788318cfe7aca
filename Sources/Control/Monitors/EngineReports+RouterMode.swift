import Routing
import Wire

// llama-server without a model of its own (router mode) runs one process for each model, and passes requests on to them.

extension EngineReports {
    /// What llama-server says of its router mode in `/props`.
    package struct RouterMode: Sendable, Equatable {
        /// `--models-max`; `Int.max`: no limit. Nil when it does not say.
        package var mostLoadedModels: Int?
        /// False with `--no-models-autoload`: a request for a model that is not loaded is answered with 400.
        package var loadsModelsItself: Bool

        package init(mostLoadedModels: Int?, loadsModelsItself: Bool) {
            self.mostLoadedModels = mostLoadedModels
            self.loadsModelsItself = loadsModelsItself
        }

        /// Nil when these are not the props of a router.
        init?(_ props: JSON) {
            guard props["role"]?.stringValue == "router" else { return nil }
            mostLoadedModels = props["max_instances"]?.intValue.map { $0 > 0 ? $0 : .max }
            loadsModelsItself = props["models_autoload"]?.boolValue ?? true
        }
    }

    /// A process that holds one model, or held it last.
    package struct ModelProcess: Sendable, Equatable {
        /// `status.args` of its model. The port is one of them, so another process of the model has others.
        var arguments: JSON?
        /// It was seen with its model in memory.
        var hasLoaded = false
        /// What its own `/props` has told; nil until it was asked, unless an earlier process of the model has told it.
        var slots: Int?
        var contextTokens: Int?
        var sees: Bool?
        var isAsked = false
    }
}

/// What is known of the processes of a llama-server in router mode, by model.
struct ModelProcesses {
    /// How many of them are asked in one round of a monitor.
    static let mostAsked = 4

    private var known: [String: EngineReports.ModelProcess] = [:]
    /// The models that are in memory and never sleep, as they were last listed. `/slots` counts as work: a process that sleeps after a time
    /// without work (`--sleep-idle-seconds`) would be kept awake.
    private(set) var sleepless: [String] = []

    /// Notes a list, and adds to its models what is known of their processes.
    mutating func note(_ models: [EngineReports.Model]) -> [EngineReports.Model] {
        let old = known
        known = [:]
        sleepless = []
        return models.map { model in
            let arguments = model.entry["status"]?["args"]
            var process = old[model.id] ?? .init()
            if process.arguments != arguments {
                process.arguments = arguments
                process.hasLoaded = false
                process.isAsked = false
            }
            let state = model.entry["status"]?["value"]?.stringValue
            if state == "loaded", arguments?.arrayValue?.contains("--sleep-idle-seconds") != true { sleepless.append(model.id) }
            if state == "loaded" || state == "sleeping" { process.hasLoaded = true }
            known[model.id] = process
            var model = model
            model.process = process
            // The router calls every process that ended badly failed, also one that was killed. This one could load its model.
            if model.listed.residency == .failed, process.hasLoaded { model.residency = .unloaded }
            return model
        }
    }

    /// Models whose processes have not been asked yet. Asking for another model may load it.
    func unasked(in models: [EngineReports.Model]) -> [String] {
        let running = models.filter { model in
            let state = model.entry["status"]?["value"]?.stringValue
            return (state == "loaded" || state == "sleeping") && known[model.id]?.isAsked == false
        }
        return running.prefix(Self.mostAsked).map(\.id)
    }

    func arguments(of model: String) -> JSON? { known[model]?.arguments }

    /// A process has told its `/props`.
    mutating func learned(_ props: EngineReports.Properties, of model: String, arguments: JSON?) {
        guard known[model] != nil, known[model]?.arguments == arguments else { return }
        known[model]?.slots = props.totalSlots.flatMap { $0 > 0 ? $0 : nil }
        known[model]?.contextTokens = props.contextTokens
        known[model]?.sees = props.sees
        known[model]?.isAsked = true
    }

    /// The target of a question to one model's process, which never loads the model.
    static func target(_ path: String, model: String) -> String {
        path + "?model=" + percentEncoded(model) + "&autoload=false"
    }

    /// RFC 3986 section 2.3: what is not unreserved is encoded.
    private static func percentEncoded(_ text: String) -> String {
        var encoded = ""
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E:
                encoded.unicodeScalars.append(Unicode.Scalar(byte))
            default: encoded += (byte < 0x10 ? "%0" : "%") + String(byte, radix: 16, uppercase: true)
            }
        }
        return encoded
    }
}

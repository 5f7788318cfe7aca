package import Proxy
import Wire

extension ModelRule {
    /// The rules that apply when `model-rules` is left out: `gpt-oss…-low`, `-medium` and `-high` set the reasoning effort.
    ///
    /// The hyphen is part of the suffix, so that `…-yellow` is left alone. The suffix stays in the name: the router ignores it
    /// when no server lists the full name.
    package static let builtIn = ["low", "medium", "high"].map { effort in
        ModelRule(
            modelPattern: "gpt-oss", modelSuffixes: ["-\(effort)"],
            set: [JSON.Member(name: "chat_template_kwargs", value: ["reasoning_effort": .string(effort)])])
    }
}

import Simulation
import Wire

/// What a machine says about itself: what the balancer and other routers ask a llama-server.
extension Machine {
    static let model = "fleet-model"

    var properties: JSON {
        [
            "default_generation_settings": ["params": [:], "n_ctx": JSON(Self.contextTokens)], "total_slots": JSON(slots),
            "model_alias": .string(Self.model), "model_path": .string("\(Self.model).gguf"), "modalities": ["vision": false],
            "endpoint_slots": true, "endpoint_props": false, "endpoint_metrics": false, "chat_template": "",
            "build_info": "fake-fleet", "is_sleeping": false,
        ]
    }

    var slotsPage: JSON {
        let busy = engine.busySlots
        return .array(
            (0..<slots).map { number in
                [
                    "id": JSON(number), "n_ctx": JSON(Self.contextTokens), "speculative": false,
                    "is_processing": .bool(number < busy),
                ]
            })
    }

    var models: JSON {
        let context: JSON = ["n_ctx": JSON(Self.contextTokens), "n_ctx_train": JSON(Self.contextTokens)]
        let model: JSON = [
            "id": .string(Self.model), "object": "model", "created": 1_790_000_000, "owned_by": "llamacpp", "meta": context,
        ]
        return ["object": "list", "data": [model]]
    }
}

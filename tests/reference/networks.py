"""Features and logits of three torchvision networks with hashed weights (float32, CPU).

Writes ``fixtures/networks.json`` (tensor names, shapes, parameter counts) and
``fixtures/networks.safetensors`` (the numbers). Networks, without pretrained weights and in
evaluation mode: efficientnet_b0, mobilenet_v2, squeezenet1_1.

Weights, with u = hashed.uniform("{model}/{tensor name}", element count), row-major,
computed in float64 and then rounded to float32:
    4-D weight (convolution)   (2u - 1) * (0.95 * sqrt(6 / fan_in)),
                               fan_in = shape[1] * shape[2] * shape[3]
                               (shape[1] is already input channels / groups)
    2-D weight (linear)        (2u - 1) * sqrt(3 / fan_in), fan_in = shape[1]
    1-D weight (norm scale)    0.5 + u
    running_var                0.5 + u
    running_mean               u - 0.5
    bias                       0.2 * (u - 0.5)
    num_batches_tracked        0 (an integer; left out of the fixture's tensor list)

The gain 0.95 matters for efficientnet_b0: at 1 its activations grow to hundreds, at 0.7
the biases drown the input, so that a wrong stem would hardly show in the outputs.

Inputs, row-major: "input" = 4 * u("input") - 2, [2, 3, 224, 224];
"input_odd" = 4 * u("input_odd") - 2, [1, 3, 97, 131].

Tensors in the safetensors file, for each network: "{model}/features" (the mean over height
and width of model.features(x), [2, channels]), "{model}/logits" ([2, 1000]), and
"{model}/features_odd", "{model}/logits_odd" for the odd-sized input ([1, ...]).
"""

import numpy as np
import torch
import torchvision
from safetensors.torch import save

from hashed import FIXTURES, uniform, versions, write_json

MODELS = ("efficientnet_b0", "mobilenet_v2", "squeezenet1_1")
CONVOLUTION_GAIN = 0.95
INPUTS = {"": ("input", (2, 3, 224, 224)), "_odd": ("input_odd", (1, 3, 97, 131))}


def tensor_values(full_name: str, shape: tuple) -> np.ndarray:
    u = uniform(full_name, int(np.prod(shape))).reshape(shape)
    kind = full_name.rsplit(".", 1)[1]
    if kind == "weight" and len(shape) == 4:
        values = (2 * u - 1) * (CONVOLUTION_GAIN * np.sqrt(6 / (shape[1] * shape[2] * shape[3])))
    elif kind == "weight" and len(shape) == 2:
        values = (2 * u - 1) * np.sqrt(3 / shape[1])
    elif kind in ("weight", "running_var"):
        values = 0.5 + u
    elif kind == "running_mean":
        values = u - 0.5
    elif kind == "bias":
        values = 0.2 * (u - 0.5)
    else:
        raise ValueError(f"no rule for {full_name}")
    return values.astype(np.float32)


def is_counter(tensor_name: str) -> bool:
    return tensor_name.endswith("num_batches_tracked")


def build(name: str) -> torch.nn.Module:
    model = getattr(torchvision.models, name)(weights=None)
    state = model.state_dict()
    for key, tensor in state.items():
        if is_counter(key):
            state[key] = torch.zeros_like(tensor)
        else:
            state[key] = torch.from_numpy(tensor_values(f"{name}/{key}", tuple(tensor.shape)))
    model.load_state_dict(state)
    return model.eval()


def network_input(name: str, shape: tuple) -> torch.Tensor:
    values = 4 * uniform(name, int(np.prod(shape))) - 2
    return torch.from_numpy(values.reshape(shape).astype(np.float32))


def main() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    networks, tensors = {}, {}
    for name in MODELS:
        model = build(name)
        state = {key: value for key, value in model.state_dict().items() if not is_counter(key)}
        networks[name] = {
            "tensors": [{"name": key, "shape": list(value.shape)} for key, value in state.items()],
            "parameters": sum(p.numel() for p in model.parameters()),
        }
        with torch.no_grad():
            for suffix, (input_name, shape) in INPUTS.items():
                x = network_input(input_name, shape)
                features = model.features(x).mean(dim=(2, 3))
                logits = model(x)
                assert torch.isfinite(logits).all() and torch.isfinite(features).all()
                tensors[f"{name}/features{suffix}"] = features.contiguous()
                tensors[f"{name}/logits{suffix}"] = logits.contiguous()
                print(f"{name}{suffix}: {describe(features)} | {describe(logits)}")
    (FIXTURES / "networks.safetensors").write_bytes(save(tensors))
    write_json(
        "networks.json",
        {
            "convolution_gain": CONVOLUTION_GAIN,
            "inputs": {name: list(shape) for name, shape in INPUTS.values()},
            "networks": networks,
            "note": "tensors: the state dict in order, without the num_batches_tracked counters",
            "numbers": {key: list(value.shape) for key, value in tensors.items()},
            "versions": versions("numpy", "torch", "torchvision", "safetensors"),
        },
    )


def describe(values: torch.Tensor) -> str:
    return f"mean {values.mean():.4g} std {values.std():.4g} min {values.min():.4g} max {values.max():.4g}"


if __name__ == "__main__":
    main()

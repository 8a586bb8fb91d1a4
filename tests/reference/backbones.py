"""Features and logits of nineteen torchvision networks with hashed weights (float32, CPU).

Writes ``fixtures/backbones.json`` (tensor names, shapes, counts) and
``fixtures/backbones.safetensors`` (the numbers). The networks are the keys of ``GAINS``,
without pretrained weights and in evaluation mode.

Weights, with u = hashed.uniform("{model}/{tensor name}", element count), row-major, computed
in float64 and then rounded to float32. The rule follows from the last part of the name (after
the last "." or "/") and the number of dimensions; gain = GAINS[model] and
residual = RESIDUAL_GAINS.get(model, 1):
    weight, 4-D (convolution)           (2u - 1) * (gain * sqrt(6 / fan_in)),
                                        fan_in = shape[1] * shape[2] * shape[3]
                                        (shape[1] is already input channels / groups)
    weight, in_proj_weight, 2-D         (2u - 1) * sqrt(3 / fan_in), fan_in = shape[1]
    weight, 1-D, name ends bn3.weight   (0.5 + u) * residual
    weight, 1-D, otherwise              0.5 + u
    running_var, layer_scale, gamma     0.5 + u
    running_mean                        u - 0.5
    bias, in_proj_bias                  0.2 * (u - 0.5)
    class_token, pos_embedding,
    cls_token, pos_embed                2u - 1
    num_batches_tracked                 0 (an integer; left out of the fixture's tensor lists)
(gamma, cls_token and pos_embed are timm's names; ``timm_backbones.py`` uses this rule too.)

The gains matter: batch norm with stored statistics does not bound the activations. With a
gain slightly too large they explode, or rounding errors do; slightly too small, the biases
drown the input. The script prints, for each network, the relative difference of the two
images' features |f0 - f1| / |f0| and the largest difference between float32 and a float64
computation with the same float32 weights, as a part of the largest value, and it stops if
they are not above 0.05 and below 2e-5.

Inputs, row-major: 4 * u(name) - 2, u of the name "backbones/input" [2, 3, 64, 64] and
"backbones/input_odd" [1, 3, 97, 75]; for vit_b_16 instead only "backbones/input_224"
[2, 3, 224, 224].

"features" are what enters the last Linear layer (classifier[-1], fc or heads.head); for
squeezenet1_1, which ends in a convolution, the mean over height and width of
model.features(x). "logits" are model(x).

Tensors in the safetensors file, for each network: "{model}/features" ([2, length]),
"{model}/logits" ([2, 50], the first 50 of 1000 columns), and for the odd-sized input
"{model}/features_odd" ([1, 64], the first 64 columns) and "{model}/logits_odd" ([1, 50]); the
last two not for vit_b_16. "vit_b_16/patches" ([8, 64]): output of encoder.ln for the first
image, without the class token: first 8 tokens, first 64 columns.

The JSON file, for each network: "gain", "residual_gain", "parameters" (of the whole network,
1000 classes), "classifier_parameters" (of the last Linear layer, or of squeezenet1_1's
classifier convolution), "features" (their length), "input" (shape), "input_odd" (shape, or
null), "usual_size" (height and width of its pretrained weights' inputs), "flops"
(multiply-adds of all convolutions, Linear layers and attention matrix products for one image
of the usual size), "tensors" ([name, shape] in the order of the state dict).
"""

import copy

import numpy as np
import torch
import torchvision
from safetensors.torch import save
from torch.utils.flop_counter import FlopCounterMode

from hashed import FIXTURES, uniform, versions, write_json

GAINS = {
    "efficientnet_b0": 0.97,
    "efficientnet_b1": 0.92,
    "efficientnet_b2": 0.93,
    "efficientnet_b3": 0.89,
    "efficientnet_b4": 0.89,
    "efficientnet_b5": 0.88,
    "efficientnet_b6": 0.88,
    "efficientnet_b7": 0.835,
    "efficientnet_v2_s": 0.75,
    "mobilenet_v2": 0.8,
    "mobilenet_v3_small": 0.92,
    "mobilenet_v3_large": 0.8,
    "squeezenet1_1": 0.95,
    "resnet18": 0.7,
    "resnet34": 0.6,
    "resnet50": 0.7,
    "resnet101": 0.75,
    "convnext_tiny": 1.0,
    "vit_b_16": 1.0,
}
RESIDUAL_GAINS = {"resnet101": 0.25}
USUAL_SIZES = {
    "efficientnet_b1": 240,
    "efficientnet_b2": 260,
    "efficientnet_b3": 300,
    "efficientnet_b4": 380,
    "efficientnet_b5": 456,
    "efficientnet_b6": 528,
    "efficientnet_b7": 600,
    "efficientnet_v2_s": 384,
}
INPUT = ("backbones/input", (2, 3, 64, 64))
INPUT_ODD = ("backbones/input_odd", (1, 3, 97, 75))
INPUT_VIT = ("backbones/input_224", (2, 3, 224, 224))


def tensor_values(full_name: str, shape: tuple, gain: float, residual: float) -> np.ndarray:
    u = uniform(full_name, int(np.prod(shape))).reshape(shape)
    kind = full_name.replace("/", ".").rsplit(".", 1)[1]
    if kind == "weight" and len(shape) == 4:
        values = (2 * u - 1) * (gain * np.sqrt(6 / (shape[1] * shape[2] * shape[3])))
    elif kind in ("weight", "in_proj_weight") and len(shape) == 2:
        values = (2 * u - 1) * np.sqrt(3 / shape[1])
    elif kind == "weight" and full_name.endswith("bn3.weight"):
        values = (0.5 + u) * residual
    elif kind in ("weight", "running_var", "layer_scale", "gamma"):
        values = 0.5 + u
    elif kind == "running_mean":
        values = u - 0.5
    elif kind in ("bias", "in_proj_bias"):
        values = 0.2 * (u - 0.5)
    elif kind in ("class_token", "pos_embedding", "cls_token", "pos_embed"):
        values = 2 * u - 1
    else:
        raise ValueError(f"no rule for {full_name}")
    return values.astype(np.float32)


def is_counter(tensor_name: str) -> bool:
    return tensor_name.endswith("num_batches_tracked")


def set_weights(model: torch.nn.Module, name: str, gain: float, residual: float) -> None:
    state = model.state_dict()
    for key, tensor in state.items():
        if is_counter(key):
            state[key] = torch.zeros_like(tensor)
        else:
            values = tensor_values(f"{name}/{key}", tuple(tensor.shape), gain, residual)
            state[key] = torch.from_numpy(values)
    model.load_state_dict(state)


def tensor_list(model: torch.nn.Module) -> list:
    # Tuples, so that write_json keeps them on one line; write_rows breaks it again.
    return [(k, tuple(v.shape)) for k, v in model.state_dict().items() if not is_counter(k)]


def write_rows(file_name: str, value: dict) -> None:
    """write_json, then one [name, shape] pair a line."""
    write_json(file_name, value)
    path = FIXTURES / file_name
    text = path.read_text(encoding="utf-8")
    for joined, broken in (('[["', '[\n    ["'), (']], ["', ']],\n    ["'), ("]]]", "]]\n   ]")):
        text = text.replace(joined, broken)
    path.write_text(text, encoding="utf-8", newline="\n")


def network_input(name: str, shape: tuple) -> torch.Tensor:
    values = 4 * uniform(name, int(np.prod(shape))) - 2
    return torch.from_numpy(values.reshape(shape).astype(np.float32))


def last_layer(model: torch.nn.Module) -> torch.nn.Module:
    if hasattr(model, "fc"):
        return model.fc
    if hasattr(model, "heads"):
        return model.heads.head
    if isinstance(model, torchvision.models.SqueezeNet):
        return model.classifier[1]
    return model.classifier[-1]


def run(model: torch.nn.Module, x: torch.Tensor) -> dict:
    seen = {}
    hooks = []
    if isinstance(model, torchvision.models.SqueezeNet):
        seen["features"] = model.features(x).mean(dim=(2, 3))
    else:
        hooks.append(
            last_layer(model).register_forward_pre_hook(
                lambda _module, inputs: seen.__setitem__("features", inputs[0].clone())
            )
        )
    if hasattr(model, "heads"):
        hooks.append(
            model.encoder.ln.register_forward_hook(
                lambda _module, _inputs, output: seen.__setitem__("patches", output[0, 1:].clone())
            )
        )
    seen["logits"] = model(x)
    for hook in hooks:
        hook.remove()
    return seen


def check(name: str, run_model, model: torch.nn.Module, inputs: dict) -> dict:
    """Outputs by suffix ("" or "_odd"), after printing and checking how well conditioned they are."""
    double = copy.deepcopy(model).double()
    results, error = {}, 0.0
    for suffix, x in inputs.items():
        results[suffix] = run_model(model, x)
        exact = run_model(double, x.double())
        for key, values in results[suffix].items():
            assert torch.isfinite(values).all(), f"{name}{suffix} {key}"
            difference = (values.double() - exact[key]).abs().max() / exact[key].abs().max()
            error = max(error, difference.item())
    features, logits = results[""]["features"], results[""]["logits"]
    apart = ((features[0] - features[1]).norm() / features[0].norm()).item()
    apart_logits = ((logits[0] - logits[1]).norm() / logits[0].norm()).item()
    print(
        f"{name}: features differ by {apart:.3f}, logits by {apart_logits:.3f}; float32 error {error:.1e}; "
        f"largest feature {features.abs().max():.3g}, logit {logits.abs().max():.3g}",
        flush=True,
    )
    assert apart > 0.05 and error < 2e-5, name
    return results


def multiply_adds(name: str, size: int) -> int:
    # Fused attention would hide its matrix products from the counter.
    torch.backends.mha.set_fastpath_enabled(False)
    with torch.device("meta"):
        model = getattr(torchvision.models, name)(weights=None).eval()
        x = torch.empty(1, 3, size, size)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(x)
    torch.backends.mha.set_fastpath_enabled(True)
    total = counter.get_total_flops()
    assert total % 2 == 0
    return total // 2


def main() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    networks, tensors = {}, {}
    for name, gain in GAINS.items():
        is_vit = name.startswith("vit")
        residual = RESIDUAL_GAINS.get(name, 1)
        model = getattr(torchvision.models, name)(weights=None).eval()
        set_weights(model, name, gain, residual)
        inputs = {"": network_input(*(INPUT_VIT if is_vit else INPUT))}
        if not is_vit:
            inputs["_odd"] = network_input(*INPUT_ODD)
        with torch.no_grad():
            results = check(name, run, model, inputs)
        tensors[f"{name}/features"] = results[""]["features"].contiguous()
        tensors[f"{name}/logits"] = results[""]["logits"][:, :50].contiguous()
        if is_vit:
            tensors[f"{name}/patches"] = results[""]["patches"][:8, :64].contiguous()
        else:
            tensors[f"{name}/features_odd"] = results["_odd"]["features"][:, :64].contiguous()
            tensors[f"{name}/logits_odd"] = results["_odd"]["logits"][:, :50].contiguous()
        size = USUAL_SIZES.get(name, 224)
        networks[name] = {
            "gain": gain,
            "residual_gain": residual,
            "parameters": sum(p.numel() for p in model.parameters()),
            "classifier_parameters": sum(p.numel() for p in last_layer(model).parameters()),
            "features": results[""]["features"].shape[1],
            "input": list(inputs[""].shape),
            "input_odd": None if is_vit else list(inputs["_odd"].shape),
            "usual_size": size,
            "flops": multiply_adds(name, size),
            "tensors": tensor_list(model),
        }
    (FIXTURES / "backbones.safetensors").write_bytes(save(tensors))
    write_rows(
        "backbones.json",
        {
            "inputs": {name: list(shape) for name, shape in (INPUT, INPUT_ODD, INPUT_VIT)},
            "networks": networks,
            "note": "tensors: the state dict in order, without the num_batches_tracked counters",
            "numbers": {key: list(value.shape) for key, value in tensors.items()},
            "versions": versions("numpy", "torch", "torchvision", "safetensors"),
        },
    )


if __name__ == "__main__":
    main()

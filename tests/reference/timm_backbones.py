"""Features and logits of fourteen timm networks with hashed weights (float32, CPU).

Writes ``fixtures/timm_backbones.json`` (tensor names, shapes, counts) and
``fixtures/timm_backbones.safetensors`` (the numbers). The networks are the keys of ``GAINS``,
made by timm.create_model(name, pretrained=False), in evaluation mode.

Weights: the rule in ``backbones.py`` with u = hashed.uniform("{timm model}/{timm tensor
name}", element count), the name and the shape being timm's, and this script's GAINS and
RESIDUAL_GAINS. Note that bn3.weight occurs in the EfficientNets and MobileNets too; their
residual gain is 1.

Inputs: those of ``backbones.py``, "backbones/input" and "backbones/input_odd", for
vit_base_patch16_224 only "backbones/input_224".

features = model.forward_head(model.forward_features(x), pre_logits=True), logits = model(x).
Tensors in the safetensors file, for each network: "{model}/features" ([2, 128], the first 128
columns), "{model}/logits" ([2, 50], the first 50 of 1000 columns), and except for
vit_base_patch16_224 "{model}/features_odd" ([1, 128]), "{model}/logits_odd" ([1, 50]).

The JSON file, for each network: "gain", "residual_gain", "torchvision" (the torchvision
network of the same architecture, whose number of parameters the script compares),
"parameters", "features" (their length), "norm_eps" (the set of eps of its norms),
"torchvision_norm_eps" (the same of the torchvision network), "padding_same" (whether strided
convolutions pad as TensorFlow's "same", that is, asymmetrically, depending on the input's
size), "input", "input_odd" (shapes, or null), "tensors" ([name, shape] in the order of timm's
state dict).
"""

import timm
import torch
import torchvision
from safetensors.torch import save
from timm.layers import Conv2dSame

from backbones import INPUT, INPUT_ODD, INPUT_VIT, check, network_input, set_weights, tensor_list, write_rows
from hashed import FIXTURES, versions

GAINS = {
    "efficientnet_b0": 0.98,
    "efficientnet_b4": 0.89,
    "tf_efficientnet_b0": 0.97,
    "tf_efficientnet_b3": 0.92,
    "tf_efficientnetv2_s": 0.75,
    "mobilenetv2_100": 0.8,
    "mobilenetv3_small_100": 0.92,
    "mobilenetv3_large_100": 0.83,
    "resnet18": 0.7,
    "resnet34": 0.6,
    "resnet50": 0.7,
    "resnet101": 0.75,
    "convnext_tiny": 1.0,
    "vit_base_patch16_224": 1.0,
}
RESIDUAL_GAINS = {"resnet101": 0.25}
TORCHVISION = {
    "tf_efficientnet_b0": "efficientnet_b0",
    "tf_efficientnet_b3": "efficientnet_b3",
    "tf_efficientnetv2_s": "efficientnet_v2_s",
    "mobilenetv2_100": "mobilenet_v2",
    "mobilenetv3_small_100": "mobilenet_v3_small",
    "mobilenetv3_large_100": "mobilenet_v3_large",
    "vit_base_patch16_224": "vit_b_16",
}


def run(model: torch.nn.Module, x: torch.Tensor) -> dict:
    features = model.forward_head(model.forward_features(x), pre_logits=True)
    return {"features": features, "logits": model(x)}


def norm_eps(model: torch.nn.Module) -> list:
    return sorted({module.eps for module in model.modules() if hasattr(module, "eps")})


def parameters(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def main() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    networks, tensors = {}, {}
    for name, gain in GAINS.items():
        is_vit = name.startswith("vit")
        residual = RESIDUAL_GAINS.get(name, 1)
        model = timm.create_model(name, pretrained=False).eval()
        other = getattr(torchvision.models, TORCHVISION.get(name, name))(weights=None)
        assert parameters(model) == parameters(other), name
        set_weights(model, name, gain, residual)
        inputs = {"": network_input(*(INPUT_VIT if is_vit else INPUT))}
        if not is_vit:
            inputs["_odd"] = network_input(*INPUT_ODD)
        with torch.no_grad():
            results = check(name, run, model, inputs)
        for suffix, values in results.items():
            tensors[f"{name}/features{suffix}"] = values["features"][:, :128].contiguous()
            tensors[f"{name}/logits{suffix}"] = values["logits"][:, :50].contiguous()
        networks[name] = {
            "gain": gain,
            "residual_gain": residual,
            "torchvision": TORCHVISION.get(name, name),
            "parameters": parameters(model),
            "features": results[""]["features"].shape[1],
            "norm_eps": norm_eps(model),
            "torchvision_norm_eps": norm_eps(other),
            "padding_same": any(isinstance(module, Conv2dSame) for module in model.modules()),
            "input": list(inputs[""].shape),
            "input_odd": None if is_vit else list(inputs["_odd"].shape),
            "tensors": tensor_list(model),
        }
    (FIXTURES / "timm_backbones.safetensors").write_bytes(save(tensors))
    write_rows(
        "timm_backbones.json",
        {
            "inputs": {name: list(shape) for name, shape in (INPUT, INPUT_ODD, INPUT_VIT)},
            "networks": networks,
            "note": "tensors: timm's state dict in order, without the num_batches_tracked counters",
            "numbers": {key: list(value.shape) for key, value in tensors.items()},
            "versions": versions("numpy", "timm", "torch", "torchvision", "safetensors"),
        },
    )


if __name__ == "__main__":
    main()

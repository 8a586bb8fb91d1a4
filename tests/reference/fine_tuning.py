"""Steps of fine-tuning torchvision networks, with PyTorch (CPU), computed in float64 from
weights and images in float32.

Writes ``fixtures/fine_tuning.json``. Weights are those of ``backbones.py``; dropout and
stochastic depth are switched off, and every batch norm has a momentum of 0.1. The last layer is left out and a Linear(features, 3) put
in its place:
    weight   0.2 * (u("tuning/{model}/head") - 0.5), [3, features]
    bias     0
Inputs, row-major:
    pixels   floor(256 * u("tuning/pixels")), [12, 64, 64, 3], then divided by 255, the mean
             [0.485, 0.456, 0.406] taken away, divided by [0.229, 0.224, 0.225]
    labels   0, 1, 2, 0, 1, 2, ...
    weights  0.5 + u("tuning/weights"), how much each row counts
The loss is sum(weight * cross entropy) / sum(weight).

Each network is trained with two ways of batch norm, ``frozen`` (evaluation mode: stored
statistics) and ``batch`` (training mode); networks without batch norms with the first alone.
In a third, ``partly``, all but the first three blocks are in training mode; those three are in
evaluation mode and have no gradients.

``gradients``: for each parameter, in the order of the state dict and then ``head.weight`` and
``head.bias``: its name, the norm of its gradient and the gradient's dot product with
2 * u("tuning/dot/{name}") - 1, at the first step.

``losses``: the mean cross entropy, rows counted alike, before each of five steps of
AdamW(lr 1e-5, weight decay 0.05 for tensors of two or more dimensions and 0 for the others),
and ``sgd_losses`` the same for SGD(lr 1e-4, momentum 0.9) with the same weight decay.

``statistics``: for each running statistic after AdamW's steps, its name and its dot product
with 2 * u("tuning/dot/{name}") - 1.
"""

import copy

import numpy as np
import torch
import torchvision
from torch import nn

from backbones import GAINS, RESIDUAL_GAINS, last_layer, set_weights
from hashed import uniform, versions, write_json

NETWORKS = {
    "mobilenet_v3_small": ("frozen", "batch", "partly"),
    "efficientnet_b0": ("frozen", "batch"),
    "resnet18": ("frozen", "batch"),
    "squeezenet1_1": ("frozen",),
    "convnext_tiny": ("frozen",),
}
ROWS, SIDE, CLASSES, STEPS = 12, 64, 3, 5
FREEZE = 3
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Tuned(nn.Module):
    """A network up to its features, and a head."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.network = getattr(torchvision.models, name)(weights=None)
        set_weights(self.network, name, GAINS[name], RESIDUAL_GAINS.get(name, 1))
        for module in self.network.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
            if isinstance(module, torchvision.ops.StochasticDepth):
                module.p = 0.0
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.1
        if isinstance(self.network, torchvision.models.SqueezeNet):
            features = 512
        else:
            last = last_layer(self.network)
            features = last.in_features
            if hasattr(self.network, "fc"):
                self.network.fc = nn.Identity()
            else:
                self.network.classifier[-1] = nn.Identity()
        self.head = nn.Linear(features, CLASSES)
        weight = 0.2 * (uniform(f"tuning/{name}/head", CLASSES * features) - 0.5)
        with torch.no_grad():
            self.head.weight.copy_(torch.from_numpy(weight.reshape(CLASSES, features).astype(np.float32)))
            self.head.bias.zero_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if isinstance(self.network, torchvision.models.SqueezeNet):
            return self.head(self.network.features(x).mean(dim=(2, 3)))
        return self.head(self.network(x))


def images() -> torch.Tensor:
    pixels = np.floor(256 * uniform("tuning/pixels", ROWS * SIDE * SIDE * 3)).reshape(ROWS, SIDE, SIDE, 3)
    scaled = (pixels.astype(np.float32) / 255 - np.float32(MEAN)) / np.float32(STD)
    return torch.from_numpy(np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))).double()


def short(name: str) -> str:
    return name.removeprefix("network.")


def dot(name: str, tensor: torch.Tensor) -> float:
    other = 2 * uniform(f"tuning/dot/{short(name)}", tensor.numel()) - 1
    return float((tensor.detach().double().numpy().ravel() * other).sum())


def parameters(model: nn.Module) -> list:
    # The features of SqueezeNet leave its own classifier out.
    is_squeezenet = isinstance(model.network, torchvision.models.SqueezeNet)
    unused = "network.classifier." if is_squeezenet else "-"
    return [(n, p) for n, p in model.named_parameters() if not n.startswith(unused) and p.requires_grad]


def losses(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    labels = torch.arange(ROWS) % CLASSES
    return nn.functional.cross_entropy(model(x), labels, reduction="none")


def weighted(each: torch.Tensor) -> torch.Tensor:
    weights = torch.from_numpy((0.5 + uniform("tuning/weights", ROWS)).astype(np.float32)).double()
    return (each * weights).sum() / weights.sum()


def steps(model: nn.Module, make, x: torch.Tensor) -> list:
    decayed = [p for _, p in parameters(model) if p.dim() > 1 and not layer_scale(model, p)]
    kept = [p for _, p in parameters(model) if p.dim() == 1 or layer_scale(model, p)]
    optimizer = make([{"params": decayed, "weight_decay": 0.05}, {"params": kept, "weight_decay": 0.0}])
    seen = []
    for _ in range(STEPS):
        each = losses(model, x)
        seen.append(float(each.detach().mean()))
        optimizer.zero_grad()
        weighted(each).backward()
        optimizer.step()
    return seen


def layer_scale(model: nn.Module, parameter: nn.Parameter) -> bool:
    """ConvNeXt's factors [channels, 1, 1] are scales, not weights."""
    return parameter.dim() == 3


def case(name: str, mode: str) -> dict:
    x = images()
    fresh = Tuned(name).double().train(mode != "frozen")
    if mode == "partly":
        for block in fresh.network.features[:FREEZE]:
            block.eval().requires_grad_(False)
    model = copy.deepcopy(fresh)
    weighted(losses(model, x)).backward()
    gradients = [(short(n), float(p.grad.double().norm()), dot(n, p.grad)) for n, p in parameters(model)]
    model = copy.deepcopy(fresh)
    adamw = steps(model, lambda groups: torch.optim.AdamW(groups, lr=1e-5, betas=(0.9, 0.999), eps=1e-8), x)
    buffers = [(n, b) for n, b in model.named_buffers() if "running" in n]
    statistics = [(short(n), dot(n, b)) for n, b in buffers] if mode != "frozen" else []
    model = copy.deepcopy(fresh)
    sgd = steps(model, lambda groups: torch.optim.SGD(groups, lr=1e-4, momentum=0.9), x)
    print(f"{name} {mode}: {adamw} {sgd}", flush=True)
    return {"gradients": gradients, "losses": adamw, "sgd_losses": sgd, "statistics": statistics}


def main() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    cases = {name: {mode: case(name, mode) for mode in modes} for name, modes in NETWORKS.items()}
    write_json("fine_tuning.json", {"cases": cases, "versions": versions("numpy", "torch", "torchvision")})


if __name__ == "__main__":
    main()

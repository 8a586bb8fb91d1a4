"""Write a torchvision state dict and its golden outputs, to prove a loader by hand.

Uses torchvision and safetensors; writes no fixture. Usage:

    python torchvision_state_dict.py MODEL SEED PATH/weights.safetensors

writes the complete state dict of an untrained MODEL (for example efficientnet_b0), in the
names and types of torchvision and including num_batches_tracked, to the given path, and
``golden.safetensors`` beside it with "input" [2, 3, 224, 224], "features" (the mean over
height and width of model.features(input)) and "logits", in evaluation mode, float32.

Weights are torchvision's own random start, drawn with SEED; biases and BatchNorm scales
are random too. BatchNorm's running means and variances are measured on random inputs, so
that activations keep a sane size.
"""

import argparse
from pathlib import Path

import torch
import torchvision
from safetensors.torch import save_file
from torch import nn


def randomize(model: nn.Module) -> None:
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    model.eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.uniform_(-0.1, 0.1)
        for norm in norms:
            norm.weight.uniform_(0.5, 1.5)
            norm.momentum = None  # plain mean over the batches below
            norm.train()  # only the norms measure: dropout and dropped blocks stay off
        for _ in range(2):
            model(torch.randn(8, 3, 224, 224))
    model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a torchvision state dict and golden outputs.")
    parser.add_argument("model")
    parser.add_argument("seed", type=int)
    parser.add_argument("path", type=Path)
    arguments = parser.parse_args()

    torch.manual_seed(arguments.seed)
    model = getattr(torchvision.models, arguments.model)(weights=None)
    randomize(model)
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        features = model.features(images).mean(dim=(2, 3))
        logits = model(images)

    arguments.path.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, arguments.path)
    save_file(
        {"input": images, "features": features.contiguous(), "logits": logits.contiguous()},
        arguments.path.parent / "golden.safetensors",
    )
    for name, values in (("features", features), ("logits", logits)):
        print(f"{name}: {list(values.shape)} std {values.std():.4g} max {values.abs().max():.4g}")


if __name__ == "__main__":
    main()

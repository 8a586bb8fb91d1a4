"""Checkpoints as torch.save writes them.

Writes ``fixtures/checkpoint.pth`` (a zip archive, as since PyTorch 1.6) and
``fixtures/checkpoint_legacy.pth`` (a pickle, as before): a training checkpoint of torchvision's resnet18,

    {"epoch": 3, "state_dict": {"module.conv1.weight": ..., ...}, "optimizer": {"lr": 0.1}}

with the prefix that DataParallel adds. Each tensor holds one number everywhere, u - 0.5 with
u = hashed.uniform("checkpoint/{name}", 1) as float32, and is saved as an expanded view of it, so that
the files stay small; ``bn1.weight`` is float16 in the zip archive.
"""

import numpy as np
import torch
import torchvision

from hashed import FIXTURES, uniform


def main() -> None:
    state = {}
    for name, tensor in torchvision.models.resnet18(weights=None).state_dict().items():
        if name.endswith("num_batches_tracked"):
            state[f"module.{name}"] = torch.zeros_like(tensor)
        else:
            number = np.float32(uniform(f"checkpoint/{name}", 1)[0] - 0.5)
            state[f"module.{name}"] = torch.tensor(number).expand(tensor.shape)
    checkpoint = {"epoch": 3, "state_dict": state, "optimizer": {"lr": 0.1}}
    torch.save(checkpoint, FIXTURES / "checkpoint_legacy.pth", _use_new_zipfile_serialization=False)
    state["module.bn1.weight"] = state["module.bn1.weight"][:1].half().expand(64)
    torch.save(checkpoint, FIXTURES / "checkpoint.pth")


if __name__ == "__main__":
    main()

"""What PyTorch does on a GPU, with the settings that are its best there.

    python gpu.py WHAT DEVICE PRECISION NETWORK BATCH BATCHES [FOLDER]

Networks are torchvision's with random weights, channels_last and torch.compile. PRECISION is ``f32`` (no
TF32 anywhere), ``tf32``, ``f16`` or ``bf16``. WHAT is

``features``  images a second of inference; the images lie on the device
``tuning``    images a second of steps of fused AdamW, with autocast for half of the bits
``head``      rows a second of 10 epochs of a Linear(1280, 1) on 19,658 rows that lie on the device, batch 512
``photos``    images a second from the JPEGs below FOLDER to features, through a DataLoader with the best
              number of workers

Prints one number. DEVICE other than ``cuda`` means the CPU.
"""

import sys
import time
from pathlib import Path

import torch
import torchvision
from torch import nn
from torchvision.transforms import v2

WHAT, DEVICE, PRECISION, NETWORK, BATCH, BATCHES = *sys.argv[1:5], int(sys.argv[5]), int(sys.argv[6])
ON = torch.device(DEVICE if DEVICE.startswith("cuda") else "cpu")
HALF = {"f16": torch.float16, "bf16": torch.bfloat16}.get(PRECISION)
ROWS, FEATURES = 19_658, 1280


def wait() -> None:
    if ON.type == "cuda":
        torch.cuda.synchronize()


def backbone() -> nn.Module:
    """The network with its classifier left out."""
    model = getattr(torchvision.models, NETWORK)(weights=None)
    last = "fc" if hasattr(model, "fc") else "classifier"
    setattr(model, last, nn.Identity())
    return model.to(ON, memory_format=torch.channels_last)


def frozen() -> nn.Module:
    model = backbone().eval()
    if HALF:
        model = model.to(HALF)
    return torch.compile(model, mode="max-autotune") if ON.type == "cuda" else model


def images(count: int, numbers: torch.dtype) -> torch.Tensor:
    return torch.rand(count, 3, 224, 224, device=ON).to(numbers, memory_format=torch.channels_last)


def features() -> float:
    model, batch = frozen(), images(BATCH, HALF or torch.float32)
    with torch.inference_mode():
        for _ in range(3):
            model(batch)
        wait()
        began = time.perf_counter()
        for _ in range(BATCHES):
            model(batch).cpu()
        wait()
        return BATCH * BATCHES / (time.perf_counter() - began)


def tuning() -> float:
    model = backbone().train()
    with torch.no_grad():
        width = model(images(2, torch.float32)).shape[1]
    model = nn.Sequential(model, nn.Linear(width, 1)).to(ON)
    step_of = torch.compile(model) if ON.type == "cuda" else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=ON.type == "cuda")
    pixels = torch.randint(0, 256, (BATCH, 3, 224, 224), dtype=torch.uint8)
    pixels = pixels.pin_memory() if ON.type == "cuda" else pixels
    labels = (torch.arange(BATCH, device=ON) % 2).float()[:, None]

    def step() -> None:
        batch = pixels.to(ON, non_blocking=True).float().div(255).sub(0.5).div(0.25)
        batch = batch.to(memory_format=torch.channels_last)
        with torch.autocast(ON.type, HALF or torch.bfloat16, enabled=HALF is not None):
            logits = step_of(batch)
        loss = nn.functional.binary_cross_entropy_with_logits(logits.float(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    for _ in range(3):
        step()
    wait()
    began = time.perf_counter()
    for _ in range(BATCHES):
        step()
    wait()
    return BATCH * BATCHES / (time.perf_counter() - began)


def head() -> float:
    rows = torch.rand(ROWS, FEATURES, device=ON)
    labels = (torch.arange(ROWS, device=ON) % 2).float()[:, None]

    def run(epochs: int) -> None:
        model = nn.Linear(FEATURES, 1).to(ON)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.001, fused=ON.type == "cuda")
        for _ in range(epochs):
            for some in torch.randperm(ROWS, device=ON).split(512):
                loss = nn.functional.binary_cross_entropy_with_logits(model(rows[some]), labels[some])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        wait()

    run(1)
    began = time.perf_counter()
    run(10)
    return 10 * ROWS / (time.perf_counter() - began)


class Photos(torch.utils.data.Dataset):
    def __init__(self, paths: list) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        image = torchvision.io.decode_image(self.paths[index], torchvision.io.ImageReadMode.RGB)
        return v2.functional.resize(image, [224, 224], antialias=True)


def photos(folder: str) -> float:
    import os

    paths = sorted(str(path) for path in Path(folder).rglob("*.jpg"))
    model = frozen()
    mean = torch.tensor([0.485, 0.456, 0.406], device=ON)[:, None, None]
    std = torch.tensor([0.229, 0.224, 0.225], device=ON)[:, None, None]

    def run(count: int, workers: int) -> float:
        loader = torch.utils.data.DataLoader(
            Photos(paths[:count]), BATCH, num_workers=workers, pin_memory=ON.type == "cuda", drop_last=False
        )
        began = time.perf_counter()
        with torch.inference_mode():
            for batch in loader:
                batch = batch.to(ON, non_blocking=True).float().div(255).sub(mean).div(std)
                batch = batch.to(HALF or torch.float32, memory_format=torch.channels_last)
                if len(batch) < BATCH:  # one shape, one compiled graph
                    batch = torch.cat([batch, batch.new_zeros(BATCH - len(batch), *batch.shape[1:])])
                model(batch).float().cpu()
        return time.perf_counter() - began

    cores, few = os.cpu_count() or 1, min(len(paths), 4 * BATCH)
    run(min(len(paths), BATCH), cores)
    workers = min({cores, max(cores // 2, 1), cores * 2}, key=lambda workers: run(few, workers))
    return len(paths) / run(len(paths), workers)


if __name__ == "__main__":
    torch.backends.cuda.matmul.allow_tf32 = PRECISION == "tf32"
    torch.backends.cudnn.allow_tf32 = PRECISION == "tf32"
    torch.backends.cudnn.benchmark = True
    print(photos(sys.argv[7]) if WHAT == "photos" else globals()[WHAT]())

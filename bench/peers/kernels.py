"""What single operations take in PyTorch, channels_last.

    python kernels.py DEVICE PRECISION COUNT TIMES OPERATION,CHANNELS,OUTPUTS,SIDE,KERNEL,STRIDE ...

Prints microseconds for each operation, a line each. PRECISION is ``f32`` (no TF32 anywhere), ``tf32``, ``f16`` or
``bf16``. OPERATION is

``depthwise``         a convolution with as many groups as channels
``depthwise maps``    the gradient of its maps
``depthwise weight``  the gradient of its weight
``convolve``          a convolution without groups
``convolve fused``    that of maps times a weight for each channel of each image where KERNEL is 1, then a bias and SiLU
``convolve back``     both gradients of ``convolve``
``shift``             SiLU of maps and a bias
``shift back``        both gradients of that
``normalize``         batch norm in training, and SiLU
``normalize back``    its gradients
``weigh``             maps times their means over height and width
``gate``              the weights of squeeze-and-excitation, with OUTPUTS numbers between its layers

Elementwise chains are compiled on a GPU, as PyTorch's users would have them; gradients come from autograd.
DEVICE other than ``cuda`` means the CPU.
"""

import sys
import time
from collections.abc import Callable

import torch
from torch.nn import functional as F

DEVICE, PRECISION, COUNT, TIMES = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
ON = torch.device(DEVICE if DEVICE.startswith("cuda") else "cpu")
NUMBERS = {"f16": torch.float16, "bf16": torch.bfloat16}.get(PRECISION, torch.float32)


def wait() -> None:
    if ON.type == "cuda":
        torch.cuda.synchronize()


def compiled(function: Callable) -> Callable:
    return torch.compile(function, dynamic=False) if ON.type == "cuda" else function


def numbers(*shape: int, dtype: torch.dtype = NUMBERS) -> torch.Tensor:
    tensor = torch.rand(*shape, device=ON).mul(2).sub(1).to(dtype)
    return tensor.to(memory_format=torch.channels_last) if len(shape) == 4 else tensor


def back(out: torch.Tensor, of: list) -> Callable:
    """The gradients of a result, again and again."""
    gradient = numbers(*out.shape, dtype=out.dtype)
    return lambda: torch.autograd.grad(out, of, gradient, retain_graph=True)


def operation(name: str, channels: int, outputs: int, side: int, kernel: int, stride: int) -> Callable:
    x = numbers(COUNT, channels, side, side)
    is_depthwise = name.startswith("depthwise")
    groups = channels if is_depthwise else 1
    weight = numbers(outputs, channels // groups, kernel, kernel)

    def convolve() -> torch.Tensor:
        return F.conv2d(x, weight, stride=stride, padding=kernel // 2, groups=groups)

    if name in ("depthwise", "convolve"):
        return convolve
    if is_depthwise or name == "convolve back":
        of = {"depthwise maps": [x], "depthwise weight": [weight]}.get(name, [x, weight])
        for tensor in of:
            tensor.requires_grad_()
        return back(convolve(), of)
    if name == "convolve fused":
        gate, behind = numbers(COUNT, channels, 1, 1), numbers(outputs)

        def gated(x: torch.Tensor) -> torch.Tensor:
            x = x * gate if kernel == 1 else x
            return F.silu(F.conv2d(x, weight, behind, stride=stride, padding=kernel // 2))

        run = compiled(gated)
        return lambda: run(x)
    scale, bias = numbers(channels, dtype=torch.float32), numbers(channels, dtype=torch.float32)
    shift = compiled(lambda x, bias: F.silu(x + bias.to(x.dtype)[:, None, None]))
    norm = compiled(lambda x, scale, bias: F.silu(F.batch_norm(x, None, None, scale, bias, training=True, eps=1e-3)))
    weigh = compiled(lambda x: x * x.mean(dim=(2, 3), keepdim=True))
    if name == "weigh":
        return lambda: weigh(x)
    if name == "gate":
        squeeze, of_squeeze = numbers(outputs, channels, 1, 1), numbers(outputs)
        excite, of_excite = numbers(channels, outputs, 1, 1), numbers(channels)

        def gate(x: torch.Tensor) -> torch.Tensor:
            between = F.silu(F.conv2d(x.mean(dim=(2, 3), keepdim=True), squeeze, of_squeeze))
            return torch.sigmoid(F.conv2d(between, excite, of_excite))

        gates = compiled(gate)
        return lambda: gates(x)
    forward, inputs = (shift, [x, bias]) if name.startswith("shift") else (norm, [x, scale, bias])
    if not name.endswith("back"):
        return lambda: forward(*inputs)
    for tensor in inputs:
        tensor.requires_grad_()
    return back(forward(*inputs), inputs)


def microseconds(run: Callable) -> float:
    for _ in range(3):
        run()
    wait()
    began = time.perf_counter()
    for _ in range(TIMES):
        run()
    wait()
    return 1e6 * (time.perf_counter() - began) / TIMES


if __name__ == "__main__":
    torch.backends.cuda.matmul.allow_tf32 = PRECISION == "tf32"
    torch.backends.cudnn.allow_tf32 = PRECISION == "tf32"
    torch.backends.cudnn.benchmark = True
    for text in sys.argv[5:]:
        kind, *sizes = text.split(",")
        run = operation(kind, *map(int, sizes))
        no_gradient = torch.inference_mode() if not run.__qualname__.startswith("back") else torch.enable_grad()
        with no_gradient:
            print(microseconds(run), flush=True)

"""Deterministic numbers derived from a name ("hashed uniforms") and shared functions.

This module computes no fixture itself; every other script takes its numbers from here.
It uses numpy and the standard library only. The generator, exactly:

* ``seed(name)``: the first 8 bytes of SHA-1(name encoded as UTF-8), read as a
  little-endian unsigned 64-bit integer.
* ``u64(name, n)[i]`` for i = 0, 1, ..., n-1, all arithmetic modulo 2**64:

      z = seed(name) + (i + 1) * 0x9E3779B97F4A7C15
      z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
      z = (z ^ (z >> 27)) * 0x94D049BB133111EB
      z = z ^ (z >> 31)

  That is the i-th output of splitmix64 started at ``seed(name)``.
* ``uniform(name, n)[i] = (u64(name, n)[i] >> 40) / 2**24``, in [0, 1). It has 24
  significant bits, so it is exact both as float32 and as float64. Here it is returned
  as float64.

Self-test values (also in ``fixtures/hashed.json``, written by running this file):
the first values of ``seed``, ``u64`` and ``uniform`` for a few names.
"""

import hashlib
import json
from pathlib import Path

import numpy as np

FIXTURES = Path(__file__).resolve().parent / "fixtures"


def seed(name: str) -> int:
    return int.from_bytes(hashlib.sha1(name.encode("utf-8")).digest()[:8], "little")


def u64(name: str, n: int) -> np.ndarray:
    # Wrap-around is wanted; numpy arrays of uint64 wrap silently.
    index = np.arange(1, n + 1, dtype=np.uint64)
    z = np.full(n, seed(name), dtype=np.uint64) + index * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def uniform(name: str, n: int) -> np.ndarray:
    return (u64(name, n) >> np.uint64(40)).astype(np.float64) / 2.0**24


def versions(*packages: str) -> dict:
    """Installed versions of the named packages, without local build tags such as +cpu."""
    from importlib.metadata import version

    return {name: version(name).split("+")[0] for name in packages}


def floats32(values) -> list:
    """Nested lists of the shortest decimals that read back as the same float32."""
    if isinstance(values, (list, tuple)) or getattr(values, "ndim", 0) > 0:
        return [floats32(value) for value in values]
    return float(str(np.float32(values)))


def _render(value, depth: int) -> str:
    pad, end = " " * (depth + 1), " " * depth
    if isinstance(value, dict) and value:
        rows = [f"{pad}{json.dumps(k)}: {_render(value[k], depth + 1)}" for k in sorted(value)]
        return "{\n" + ",\n".join(rows) + f"\n{end}}}"
    if isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
        rows = [pad + _render(item, depth + 1) for item in value]
        return "[\n" + ",\n".join(rows) + f"\n{end}]"
    if isinstance(value, list) and any(isinstance(item, str) and len(item) > 40 for item in value):
        return "[\n" + ",\n".join(pad + json.dumps(item) for item in value) + f"\n{end}]"
    return json.dumps(value, allow_nan=False)


def write_json(file_name: str, value: dict) -> None:
    """Write a fixture: sorted keys, indent 1, each list of plain values on one line."""
    FIXTURES.mkdir(parents=True, exist_ok=True)
    (FIXTURES / file_name).write_text(_render(value, 0) + "\n", encoding="utf-8", newline="\n")


def main() -> None:
    names = ["", "input", "head/x", "efficientnet_b0/features.0.0.weight", "größe"]
    write_json(
        "hashed.json",
        {
            "names": {
                name: {
                    "seed": str(seed(name)),
                    "u64": [str(value) for value in u64(name, 4)],
                    "uniform": uniform(name, 8).tolist(),
                }
                for name in names
            },
            "versions": versions("numpy"),
        },
    )


if __name__ == "__main__":
    main()

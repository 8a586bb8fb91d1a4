"""JPEGs as Pillow decodes them at a part of their size (``Image.draft``): fixtures/draft/*.

    python draft.py

Written with Pillow 12. Each JPEG is a drawing that a formula makes, so that nothing is copied from anywhere.
"""

import json
import math
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent / "fixtures" / "draft"
WIDTH, HEIGHT = 203, 150


def drawing() -> Image.Image:
    image = Image.new("RGB", (WIDTH, HEIGHT))
    for y in range(HEIGHT):
        for x in range(WIDTH):
            wave = 60 * math.sin(x / 9.0) * math.cos(y / 7.0)
            disc = 70 if (x - 90) ** 2 + (y - 70) ** 2 < 1600 else 0
            image.putpixel((x, y), (int(90 + wave + disc), int(60 + y * 0.8), int(200 - x * 0.6)))
    return image


def main() -> None:
    HERE.mkdir(parents=True, exist_ok=True)
    kinds = {
        "444": dict(subsampling=0),
        "420": dict(subsampling=2),
        "progressive": dict(subsampling=0, progressive=True),
    }
    listed = []
    sources = {name: drawing() for name in kinds} | {"grey": drawing().convert("L")}
    for name, image in sources.items():
        image.save(HERE / f"{name}.jpg", quality=92, **kinds.get(name, {}))
        for part in (2, 4, 8):
            with Image.open(HERE / f"{name}.jpg") as found:
                found.draft(found.mode, (WIDTH // part, HEIGHT // part))
                found = found.convert("RGB")
                file = f"{name}-{part}.png"
                found.save(HERE / file, optimize=True)
                listed.append({"source": f"{name}.jpg", "part": part, "expected": file, "size": list(found.size)})
    (HERE.parent / "draft.json").write_text(json.dumps(listed, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Image resizing with Pillow, and Resize + CenterCrop with torchvision on Pillow images.

Writes RGB PNG files into ``fixtures/resize/`` and their list into ``fixtures/resize.json``.

Sources (width x height), also saved as ``source_{name}.png``:
    "smooth" 64x48 and "odd" 61x83; channel c of pixel (x, y) is
    floor(255 * clip(0.5 + 0.25*sin(x/5 + c) + 0.25*cos(y/7 - c), 0, 1))
    + floor(32 * u("resize/{name}")) - 16, clipped to 0..255 (u row-major [height, width, 3]).

Results:
    stretch_{width}x{height}_{filter}.png   Image.resize of "smooth", four filters
    cover_smooth_32_28.png                  "smooth": Resize(32), CenterCrop(28)
    cover_odd_32_27.png                     "odd": Resize(32), CenterCrop(27)
The two "cover" images use torchvision.transforms on a Pillow image: bilinear with
antialias, shorter side to the first number, the longer one int(size * long / short),
then a centred square crop (offset int(round(gap / 2)), halves to even). ``resize.json``
also tells the size between both steps.
"""

import numpy as np
from PIL import Image
from torchvision import transforms

from hashed import FIXTURES, uniform, versions, write_json

FOLDER = FIXTURES / "resize"
SOURCES = {"smooth": (64, 48), "odd": (61, 83)}
SIZES = [(24, 24), (100, 80)]
FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
COVERS = [("smooth", 32, 28), ("odd", 32, 27)]


def source(name: str) -> Image.Image:
    width, height = SOURCES[name]
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    wave = np.clip(0.5 + 0.25 * np.sin(x / 5 + c) + 0.25 * np.cos(y / 7 - c), 0, 1)
    noise = np.floor(32 * uniform(f"resize/{name}", wave.size).reshape(wave.shape)) - 16
    pixels = np.clip(np.floor(255 * wave) + noise, 0, 255).astype(np.uint8)
    return Image.fromarray(pixels)


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    images = {name: source(name) for name in SOURCES}
    listing = []
    for name, image in images.items():
        image.save(FOLDER / f"source_{name}.png")
    for width, height in SIZES:
        for filter_name, resampling in FILTERS.items():
            file = f"stretch_{width}x{height}_{filter_name}.png"
            images["smooth"].resize((width, height), resampling).save(FOLDER / file)
            listing.append(
                {
                    "file": file,
                    "source": "source_smooth.png",
                    "mode": "stretch",
                    "filter": filter_name,
                    "width": width,
                    "height": height,
                }
            )
    for name, side, crop in COVERS:
        file = f"cover_{name}_{side}_{crop}.png"
        resize = transforms.Resize(
            side, interpolation=transforms.InterpolationMode.BILINEAR, antialias=True
        )
        resized = resize(images[name])
        transforms.CenterCrop(crop)(resized).save(FOLDER / file)
        listing.append(
            {
                "file": file,
                "source": f"source_{name}.png",
                "mode": "cover",
                "filter": "bilinear",
                "resize": side,
                "resized_width": resized.width,
                "resized_height": resized.height,
                "width": crop,
                "height": crop,
            }
        )
    write_json(
        "resize.json", {"images": listing, "versions": versions("numpy", "pillow", "torchvision")}
    )


if __name__ == "__main__":
    main()

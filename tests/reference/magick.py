"""Image files as ImageMagick writes them, and what Pillow makes of each: fixtures/magick/*, fixtures/magick.json.

    python magick.py

Needs ImageMagick's ``convert`` (Debian: imagemagick). The picture is ``odd.source("magick")``. Each entry of the
list: ``file``; ``expected``, an RGB PNG of Pillow's pixels (EXIF heeded, alpha dropped), or null where Pillow cannot
read the file; ``exact``, false where decoders may round differently. Files with equal pixels share one PNG.
"""

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from PIL import Image, ImageOps

from hashed import FIXTURES, versions, write_json
from odd import source

FOLDER = FIXTURES / "magick"
# Name of the file, what ImageMagick is asked for, whether decoders agree to the last bit.
FILES = [
    ("bmp-1.bmp", "-monochrome BMP3:", True),
    ("bmp-4.bmp", "-colors 16 -type Palette BMP3:", True),
    ("bmp-8-rle.bmp", "-colors 60 -type Palette -compress RLE BMP3:", True),
    ("bmp-16-565.bmp", "-define bmp:subtype=RGB565 BMP:", True),
    ("bmp-32-alpha.bmp", "-alpha set -channel A -evaluate set 50% BMP:", True),
    ("gif-interlaced.gif", "-colors 90 -interlace GIF GIF:", True),
    ("jpeg-cmyk.jpg", "-colorspace CMYK -quality 92 JPEG:", False),
    ("jpeg-grey.jpg", "-colorspace Gray -quality 92 JPEG:", False),
    ("jpeg-411.jpg", "-sampling-factor 4x1 -quality 92 JPEG:", False),
    ("jpeg-422.jpg", "-sampling-factor 2x1 -quality 92 JPEG:", False),
    ("jpeg-440.jpg", "-sampling-factor 1x2 -quality 92 JPEG:", False),
    ("jpeg-progressive.jpg", "-interlace Plane -quality 92 JPEG:", False),
    ("jpeg-restarts.jpg", "-define jpeg:restart-interval=1 -quality 92 JPEG:", False),
    ("png-1.png", "-monochrome PNG:", True),
    ("png-grey-2.png", "-colorspace Gray -colors 4 -depth 2 -define png:color-type=0 -define png:bit-depth=2 PNG:", True),
    ("png-grey-alpha-16.png", "-colorspace Gray -alpha set -depth 16 -define png:color-type=4 -define png:bit-depth=16 PNG:", False),
    ("png-rgba-16-interlaced.png", "-alpha set -interlace PNG -depth 16 -define png:color-type=6 -define png:bit-depth=16 PNG:", False),
    ("png-palette-transparent.png", "-colors 20 -transparent-color black -type PaletteMatte PNG8:", True),
    ("tiff-lzw.tif", "-compress LZW TIFF:", True),
    ("tiff-zip-predictor.tif", "-compress Zip -define tiff:predictor=2 TIFF:", True),
    ("tiff-packbits.tif", "-compress RLE TIFF:", True),
    ("tiff-jpeg.tif", "-compress JPEG -quality 92 TIFF:", False),
    ("tiff-fax4.tif", "-monochrome -compress Group4 TIFF:", True),
    ("tiff-planar.tif", "-interlace Plane TIFF:", True),
    ("tiff-big-endian.tif", "-endian MSB TIFF:", True),
    ("tiff-cmyk.tif", "-colorspace CMYK TIFF:", True),
    ("tiff-grey-16.tif", "-colorspace Gray -depth 16 TIFF:", False),
    ("tiff-rgb-16.tif", "-depth 16 TIFF:", False),
    ("tiff-float.tif", "-depth 32 -define quantum:format=floating-point TIFF:", False),
    ("tiff-alpha.tif", "-alpha set -channel A -evaluate set 50% TIFF:", True),
    ("tiff-lab.tif", "-colorspace Lab TIFF:", False),
    ("tiff-tiled.tif", "-define tiff:tile-geometry=16x16 TIFF:", True),
    ("webp-lossless.webp", "-define webp:lossless=true WEBP:", True),
    ("jpeg-as.png", "-quality 92 JPEG:", False),
    ("pnm.ppm", "PPM:", True),
    ("tga.tga", "TGA:", True),
    ("psd.psd", "PSD:", True),
    ("pcx.pcx", "PCX:", True),
    ("jp2.jp2", "JP2:", False),
    ("xpm.xpm", "XPM:", True),
    ("ico.ico", "-resize 16x16! ICO:", True),
]


def pixels(path: Path):
    try:
        with Image.open(path) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except Exception as error:
        return f"{type(error).__name__}"


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    listed, known = [], {}
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "picture.png"
        source("magick").save(picture)
        for name, words, exact in FILES:
            *options, format = words.split()
            to = FOLDER / name
            done = subprocess.run(["convert", picture, *options, f"{format}{to}"], capture_output=True, text=True)
            if done.returncode or not to.exists():
                print(f"{name}: not written: {done.stderr.strip()[:100]}")
                continue
            found, expected = pixels(to), None
            if not isinstance(found, str):
                digest = hashlib.sha1(found.tobytes()).hexdigest()
                if digest not in known:
                    known[digest] = f"expected-{to.stem}.png"
                    found.save(FOLDER / known[digest], optimize=True)
                expected = known[digest]
            listed.append({"file": name, "expected": expected, "exact": exact})
    version = subprocess.run(["convert", "-version"], capture_output=True, text=True).stdout.split()[2]
    write_json("magick.json", {"images": listed, "versions": versions("numpy", "pillow") | {"imagemagick": version}})


if __name__ == "__main__":
    main()

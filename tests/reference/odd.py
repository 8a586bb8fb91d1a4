"""Small odd image files and what Pillow makes of each of them.

Writes the files and the expected pixels into ``fixtures/odd/`` (emptied first) and their
list into ``fixtures/odd.json``. Encoded by Pillow, except the PNG files written here by
hand (16-bit RGB, interlaced, huge header).

Pixels. ``source(name, width, height, channels)`` is floor(16 + 223 * s), with s of shape
[height, width, channels]: u = uniform("odd/{name}") row-major in that shape, averaged
over the 3x3 neighbourhood (edges repeated), and
s = 0.75 * ((x + 1) / (width + 1) for even c, (y + 1) / (height + 1) for odd c) + 0.25 * mean.
Alpha of pixel (x, y) is floor(255 * (x + y) / (width + height - 2)): 0 in the first
corner, 255 in the last one. Images are 40x30 (width x height) unless their name says
otherwise. 16-bit values are floor(65535 * s).

``odd.json``:

* "images": one entry per file. All fields are always there, null where there is nothing.
    file                what to decode, in ``fixtures/odd/``
    refused             true: a decoder must answer with an error. That is this project's
                        rule for broken files; "note" says what Pillow does, which is
                        lenient with some of them.
    expected            RGB PNG with the pixels of
                        ImageOps.exif_transpose(Image.open(file)).convert("RGB"), first
                        frame. Alpha is dropped, not blended. Files with equal pixels
                        share one PNG. Null for refused files and for 16-bit grey.
    exact               false where decoders may differ by rounding: JPEG (inverse DCT,
                        chroma upsampling, colour conversion), lossy WebP, and CMYK
    expected_high_byte  16-bit files: RGB PNG of value >> 8
    expected_on_white   files with alpha: RGB PNG of Image.alpha_composite of the image
                        as RGBA over opaque white. Blending may round differently by 1.
    note                what is odd about the file, and what Pillow does
* "pads": ImageOps.pad(source, size, method=BILINEAR, color=color): the image resized to
  the largest size of the same shape within size, other side round(long * ratio), placed at
  round(gap / 2), halves to even.
* "greys": source.convert("L").convert("RGB"), where
  L = (19595 * R + 38470 * G + 7471 * B + 32768) >> 16.

Pillow's CMYK to RGB, also for the inverted values of Adobe JPEG files once they are
turned around: with n = 255 - K, R = n - round(C * n / 255), G and B likewise.
"""

import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps

from hashed import FIXTURES, uniform, versions, write_json

FOLDER = FIXTURES / "odd"
WIDTH, HEIGHT = 40, 30
# Start and step of the seven Adam7 passes: x0, y0, dx, dy.
ADAM7 = [
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
]


def smooth(name: str, width: int, height: int, channels: int) -> np.ndarray:
    shape = (height, width, channels)
    noise = uniform(f"odd/{name}", height * width * channels).reshape(shape)
    padded = np.pad(noise, ((1, 1), (1, 1), (0, 0)), mode="edge")
    mean = sum(padded[i : i + height, j : j + width] for i in range(3) for j in range(3)) / 9
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(channels), indexing="ij")
    slope = np.where(c % 2 == 0, (x + 1) / (width + 1), (y + 1) / (height + 1))
    return 0.75 * slope + 0.25 * mean


def source(name: str, width: int = WIDTH, height: int = HEIGHT, channels: int = 3) -> Image.Image:
    pixels = np.floor(16 + 223 * smooth(name, width, height, channels)).astype(np.uint8)
    if channels == 1:
        return Image.fromarray(pixels[:, :, 0])
    return Image.merge(
        {3: "RGB", 4: "CMYK"}[channels],
        [Image.fromarray(np.ascontiguousarray(pixels[:, :, c])) for c in range(channels)],
    )


def with_alpha(image: Image.Image) -> Image.Image:
    y, x = np.meshgrid(np.arange(image.height), np.arange(image.width), indexing="ij")
    alpha = np.floor(255 * (x + y) / (image.width + image.height - 2)).astype(np.uint8)
    image = image.copy()
    image.putalpha(Image.fromarray(alpha))
    return image


def palette(name: str) -> Image.Image:
    return source(name).quantize(16, dither=Image.Dither.NONE)


def encode(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg(image: Image.Image, subsampling: int = 0, **options) -> bytes:
    if image.mode == "RGB":
        options["subsampling"] = subsampling
    return encode(image, "JPEG", quality=90, **options)


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_by_hand(width, height, depth, colour, interlace, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", zlib.compress(rows, 9))
        + png_chunk(b"IEND", b"")
    )


def unfiltered(pixels: np.ndarray) -> bytes:
    """PNG rows, each with filter 0."""
    return b"".join(b"\0" + row.tobytes() for row in pixels)


def interlaced(pixels: np.ndarray) -> bytes:
    return b"".join(unfiltered(pixels[y0::dy, x0::dx]) for x0, y0, dx, dy in ADAM7)


def wrong_crc(png: bytes) -> bytes:
    start = png.index(b"IDAT")
    end = start + 4 + struct.unpack(">I", png[start - 4 : start])[0]
    return png[:end] + bytes([png[end] ^ 0xFF]) + png[end + 1 :]


def huge_jpeg(data: bytes) -> bytes:
    start = data.index(b"\xff\xc0") + 5  # marker, length, precision; then height and width
    assert struct.unpack(">HH", data[start : start + 4]) == (HEIGHT, WIDTH)
    return data[:start] + struct.pack(">HH", 65000, 65000) + data[start + 4 :]


def good_files() -> list:
    """(file, bytes, exact, note)"""
    rgb = source("rgb")
    files = []
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = jpeg(rgb, exif=exif.tobytes())
        files.append(
            (f"jpeg-orientation-{orientation}.jpg", data, False, f"EXIF orientation {orientation}")
        )
    files += [
        ("jpeg-progressive.jpg", jpeg(rgb, progressive=True), False, "progressive"),
        ("jpeg-grey.jpg", jpeg(source("grey", channels=1)), False, "greyscale"),
        (
            "jpeg-cmyk.jpg",
            jpeg(source("cmyk", channels=4)),
            False,
            "CMYK with an Adobe marker (transform 0), values stored inverted",
        ),
        ("jpeg-420.jpg", jpeg(rgb, subsampling=2), False, "chroma 4:2:0"),
        ("jpeg-444.jpg", jpeg(rgb), False, "chroma 4:4:4"),
        ("jpeg-1x1.jpg", jpeg(source("one", 1, 1)), False, "one pixel"),
        ("jpeg-named.png", jpeg(rgb), False, "a JPEG file under a PNG name"),
    ]

    grey = source("grey", channels=1)
    indexed = palette("palette")
    deep = np.floor(65535 * smooth("deep", WIDTH, HEIGHT, 3)).astype(">u2")
    deep_grey = np.floor(65535 * smooth("deep-grey", WIDTH, HEIGHT, 1)).astype(">u2")
    see_through = bytes(17 * i for i in range(16))
    files += [
        ("png-rgb.png", encode(rgb, "PNG"), True, "8-bit RGB"),
        ("png-rgba.png", encode(with_alpha(rgb), "PNG"), True, "8-bit RGBA"),
        ("png-palette.png", encode(indexed, "PNG"), True, "palette of 16 colours"),
        (
            "png-palette-trns.png",
            encode(indexed, "PNG", transparency=see_through),
            True,
            "palette with tRNS: alpha of colour i is 17 * i",
        ),
        (
            "png-1-bit.png",
            encode(grey.convert("1", dither=Image.Dither.NONE), "PNG"),
            True,
            "1-bit black and white",
        ),
        ("png-grey.png", encode(grey, "PNG"), True, "8-bit greyscale"),
        ("png-grey-alpha.png", encode(with_alpha(grey), "PNG"), True, "8-bit grey with alpha"),
        (
            "png-rgb-16.png",
            png_by_hand(WIDTH, HEIGHT, 16, 2, 0, unfiltered(deep)),
            True,
            "16-bit RGB; Pillow takes the high byte",
        ),
        (
            "png-grey-16.png",
            png_by_hand(WIDTH, HEIGHT, 16, 0, 0, unfiltered(deep_grey)),
            True,
            "16-bit greyscale",
        ),
        (
            "png-interlaced.png",
            png_by_hand(WIDTH, HEIGHT, 8, 2, 1, interlaced(np.asarray(rgb))),
            True,
            "Adam7 interlaced RGB",
        ),
        ("png-1x1.png", encode(source("one", 1, 1), "PNG"), True, "one pixel"),
        ("png-1x2000.png", encode(source("tall", 1, 2000), "PNG"), True, "1 wide, 2000 high"),
        (
            "apng.png",
            encode(
                rgb,
                "PNG",
                save_all=True,
                append_images=[source("rgb-2"), source("rgb-3")],
                duration=100,
            ),
            True,
            "animated, 3 frames",
        ),
    ]

    frames = [palette("palette"), palette("palette-2"), palette("palette-3")]
    moving = {"save_all": True, "duration": 100, "loop": 0}
    files += [
        ("gif.gif", encode(indexed, "GIF"), True, "palette"),
        (
            "gif-animated.gif",
            encode(frames[0], "GIF", append_images=frames[1:], **moving),
            True,
            "animated, 3 frames",
        ),
        (
            "gif-transparent.gif",
            encode(indexed, "GIF", transparency=indexed.getpixel((WIDTH // 2, HEIGHT // 2))),
            True,
            "one transparent colour; the colour under it is that of the palette",
        ),
        ("webp-lossy.webp", encode(rgb, "WEBP", quality=80), False, "lossy"),
        (
            "webp-lossless-alpha.webp",
            encode(with_alpha(rgb), "WEBP", lossless=True, exact=True),
            True,
            "lossless with alpha, colours under alpha 0 kept",
        ),
        (
            "webp-animated.webp",
            encode(
                rgb,
                "WEBP",
                append_images=[source("rgb-2"), source("rgb-3")],
                lossless=True,
                **moving,
            ),
            True,
            "animated lossless, 3 frames",
        ),
        ("bmp-24.bmp", encode(rgb, "BMP"), True, "24-bit"),
        ("bmp-palette.bmp", encode(indexed, "BMP"), True, "palette"),
        ("tiff-raw.tif", encode(rgb, "TIFF"), True, "uncompressed"),
        ("tiff-lzw.tif", encode(rgb, "TIFF", compression="tiff_lzw"), True, "LZW"),
        (
            "tiff-cmyk.tif",
            encode(source("cmyk", channels=4), "TIFF"),
            False,
            "CMYK uncompressed; the conversion to RGB may round differently",
        ),
    ]
    return files


def broken_files(good: dict) -> list:
    """(file, bytes, note)"""
    files = []
    for whole, ending in [
        ("jpeg-444.jpg", "jpg"),
        ("png-rgb.png", "png"),
        ("webp-lossy.webp", "webp"),
        ("gif.gif", "gif"),
    ]:
        data = good[whole]
        note = f"the first half of the bytes of {whole}"
        files.append((f"broken-truncated.{ending}", data[: len(data) // 2], note))
    return files + [
        ("broken-text.jpg", b"This is a text, not an image.\n", "a text under a JPEG name"),
        ("broken-empty.png", b"", "no bytes at all"),
        (
            "broken-huge.png",
            png_by_hand(50000, 50000, 8, 2, 0, b"\0" * 64),
            "header says 50000x50000, with 64 bytes of rows",
        ),
        ("broken-huge.jpg", huge_jpeg(good["jpeg-444.jpg"]), "header says 65000x65000"),
        ("broken-crc.png", wrong_crc(good["png-rgb.png"]), "wrong CRC in IDAT"),
    ]


class Expected:
    """Writes expected pixels, equal ones only once."""

    def __init__(self) -> None:
        self.names = {}

    def add(self, stem: str, image: Image.Image) -> str:
        assert image.mode == "RGB"
        key = (image.size, image.tobytes())
        if key not in self.names:
            self.names[key] = f"expected-{stem}.png"
            assert not (FOLDER / self.names[key]).exists()
            Image.frombytes("RGB", *key).save(FOLDER / self.names[key])
        return self.names[key]


def upright(file: str) -> Image.Image:
    with Image.open(FOLDER / file) as image:
        return ImageOps.exif_transpose(image)


def has_alpha(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info


def high_byte(file: str) -> Image.Image:
    """value >> 8 of a 16-bit PNG written by ``png_by_hand``, from its own rows."""
    data = (FOLDER / file).read_bytes()
    start = data.index(b"IDAT")
    length = struct.unpack(">I", data[start - 4 : start])[0]
    rows = zlib.decompress(data[start + 4 : start + 4 + length])
    values = np.frombuffer(rows, np.uint8).reshape(HEIGHT, -1)[:, 1::2].reshape(HEIGHT, WIDTH, -1)
    return Image.fromarray(np.ascontiguousarray(np.broadcast_to(values, (HEIGHT, WIDTH, 3))))


def describe_good(file: str, exact: bool, note: str, expected: Expected) -> dict:
    stem = file.replace(".", "-")
    image = upright(file)
    entry = {
        "file": file,
        "refused": False,
        "expected": None,
        "exact": exact,
        "expected_high_byte": None,
        "expected_on_white": None,
        "note": f"{note}; Pillow reads mode {image.mode}",
    }
    if "-16." in file:
        entry["expected_high_byte"] = expected.add(f"{stem}-high-byte", high_byte(file))
    if image.mode == "I;16":
        values = np.asarray(image)
        converted = np.asarray(image.convert("RGB"))[:, :, 0]
        if np.array_equal(converted, values >> 8):
            entry["note"] += "; its conversion to RGB takes the high byte"
        else:
            assert np.array_equal(converted, np.minimum(values, 255))
            entry["note"] += "; its conversion to RGB clips at 255 and is not used"
    else:
        entry["expected"] = expected.add(stem, image.convert("RGB"))
    if has_alpha(image):
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        flat = Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
        entry["expected_on_white"] = expected.add(f"{stem}-on-white", flat)
    return entry


def describe_broken(file: str, note: str) -> dict:
    try:
        image = upright(file).convert("RGB")
        pillow = f"Pillow reads it as {image.width}x{image.height}"
    except Exception as error:  # whatever Pillow answers is what the note tells
        text = str(error).replace(str(FOLDER / file), file)
        pillow = f"Pillow refuses it: {type(error).__name__}: {text}"
    return {
        "file": file,
        "refused": True,
        "expected": None,
        "exact": False,
        "expected_high_byte": None,
        "expected_on_white": None,
        "note": f"{note}; {pillow}",
    }


def pads() -> list:
    entries = []
    size, color = (24, 24), (10, 20, 30)
    for name, width, height in [("landscape", 40, 30), ("portrait", 30, 40), ("square", 30, 30)]:
        image = source(f"pad-{name}", width, height)
        image.save(FOLDER / f"pad-source-{name}.png")
        padded = ImageOps.pad(image, size, method=Image.Resampling.BILINEAR, color=color)
        padded.save(FOLDER / f"pad-{name}.png")
        entries.append(
            {
                "source": f"pad-source-{name}.png",
                "expected": f"pad-{name}.png",
                "size": list(size),
                "color": list(color),
            }
        )
    return entries


def greys() -> list:
    image = source("grey-source")
    image.save(FOLDER / "grey-source.png")
    image.convert("L").convert("RGB").save(FOLDER / "grey.png")
    r, g, b = np.moveaxis(np.asarray(image).astype(np.int64), 2, 0)
    grey = (19595 * r + 38470 * g + 7471 * b + 32768) >> 16
    assert np.array_equal(grey, np.asarray(image.convert("L")))
    return [{"source": "grey-source.png", "expected": "grey.png"}]


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    good = good_files()
    broken = broken_files({file: data for file, data, _, _ in good})
    for file, data, *_ in good + broken:
        (FOLDER / file).write_bytes(data)
    expected = Expected()
    images = [describe_good(file, exact, note, expected) for file, _, exact, note in good]
    images += [describe_broken(file, note) for file, _, note in broken]
    write_json(
        "odd.json",
        {
            "images": images,
            "pads": pads(),
            "greys": greys(),
            "versions": versions("numpy", "pillow"),
        },
    )


if __name__ == "__main__":
    main()

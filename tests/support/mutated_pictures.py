"""Small pictures in every format that is decoded, and damaged copies of them, drawn from a seed."""

import io
import struct
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from PIL import Image

from embedder.images.decoder import Decoder
from embedder.images.raw import HAS_RAWPY

_SIZE: Final = (72, 56)
_SAVED: Final[dict[str, tuple[str, str, dict[str, Any]]]] = {
    "JPEG": ("JPEG", "RGB", {}),
    "JPEG with metadata": ("JPEG", "RGB", {"comment": b"made", "xmp": b"<x:xmpmeta/>", "dpi": (72, 72)}),
    "progressive JPEG": ("JPEG", "RGB", {"progressive": True}),
    "grey JPEG": ("JPEG", "L", {"restart_marker_blocks": 2}),
    "JPEG of four colours": ("JPEG", "CMYK", {}),
    "MPO": ("MPO", "RGB", {"save_all": True, "append_images": [Image.new("RGB", _SIZE)]}),
    "PNG": ("PNG", "RGB", {}),
    "PNG with alpha": ("PNG", "RGBA", {}),
    "PNG of 16 bits": ("PNG", "I;16", {}),
    "PNG of a palette": ("PNG", "P", {"transparency": 3}),
    "animated PNG": ("PNG", "RGB", {"save_all": True, "append_images": [Image.new("RGB", _SIZE)]}),
    "GIF": ("GIF", "P", {}),
    "animated GIF": ("GIF", "P", {"save_all": True, "append_images": [Image.new("P", _SIZE)]}),
    "WebP": ("WEBP", "RGB", {}),
    "lossless WebP": ("WEBP", "RGBA", {"lossless": True}),
    "animated WebP": ("WEBP", "RGB", {"save_all": True, "append_images": [Image.new("RGB", _SIZE)]}),
    "TIFF": ("TIFF", "RGB", {}),
    "TIFF of LZW": ("TIFF", "RGB", {"compression": "tiff_lzw"}),
    "TIFF of JPEG": ("TIFF", "RGB", {"compression": "jpeg"}),
    "TIFF of floats": ("TIFF", "F", {"compression": "tiff_adobe_deflate"}),
    "fax TIFF": ("TIFF", "1", {"compression": "group4"}),
    "BMP": ("BMP", "RGB", {}),
    "PPM": ("PPM", "RGB", {}),
    "HEIC": ("HEIF", "RGB", {}),
    "AVIF": ("AVIF", "RGB", {}),
    "JPEG XL": ("JXL", "RGB", {}),
    "JPEG XL in boxes": ("JXL", "RGB", {"use_container": True}),
    "JPEG 2000": ("JPEG2000", "RGB", {}),
    "JPEG 2000 stream": ("JPEG2000", "L", {"no_jp2": True}),
}


def seeds() -> dict[str, bytes]:
    """A valid picture of each kind."""
    Decoder(1)  # registers the formats of plugins
    rows, columns = np.mgrid[: _SIZE[1], : _SIZE[0]]
    shades = np.stack([3 * columns, 4 * rows, 2 * (rows + columns)], axis=-1).astype(np.uint8)
    drawn = Image.fromarray(shades)
    found = {}
    for kind, (format_, mode, options) in _SAVED.items():
        stream = io.BytesIO()
        converted = drawn.convert("L").convert(mode) if mode in {"F", "I;16"} else drawn.convert(mode)
        converted.save(stream, format_, **options)
        found[kind] = stream.getvalue()
    return found | {"PSD": psd(shades)} | ({"DNG": dng(shades[:, :, 1])} if HAS_RAWPY else {})


def mutated(picture: bytes, dice: np.random.Generator) -> bytes:
    """A copy with one to four kinds of damage; half of them in its first 256 bytes, where the header is."""
    data = bytearray(picture)
    for _ in range(int(dice.integers(1, 5))):
        _DAMAGES[int(dice.integers(len(_DAMAGES)))](data, dice)
    return bytes(data)


def _place(data: bytearray, dice: np.random.Generator) -> int:
    return int(dice.integers(max(1, min(len(data), 256) if dice.random() < 0.5 else len(data))))


def _flip_bits(data: bytearray, dice: np.random.Generator) -> None:
    for _ in range(int(dice.integers(1, 9))):
        if data:
            data[_place(data, dice)] ^= 1 << int(dice.integers(8))


def _write_number(data: bytearray, dice: np.random.Generator) -> None:
    """Put a number that sizes and offsets are not meant to have over two, four or eight bytes."""
    size = int(dice.choice([2, 4, 8]))
    bits = 8 * size
    number = int(dice.choice([0, 1, 2, 3])), 2 ** (bits - 1) - 1, 2 ** (bits - 1), 2**bits - 1, 2 ** (bits // 2)
    at = _place(data, dice)
    value = number[int(dice.integers(len(number)))]
    data[at : at + size] = value.to_bytes(size, "little" if dice.random() < 0.5 else "big")


def _cut(data: bytearray, dice: np.random.Generator) -> None:
    del data[_place(data, dice) :]


def _remove(data: bytearray, dice: np.random.Generator) -> None:
    at = _place(data, dice)
    del data[at : at + int(dice.integers(1, 64))]


def _repeat(data: bytearray, dice: np.random.Generator) -> None:
    at = _place(data, dice)
    data[at:at] = data[at : at + int(dice.integers(1, 512))] * int(dice.integers(1, 40))


def _noise(data: bytearray, dice: np.random.Generator) -> None:
    at, size = _place(data, dice), int(dice.integers(1, 64))
    data[at : at + size] = dice.bytes(size)


_DAMAGES: Final[tuple[Callable[[bytearray, np.random.Generator], None], ...]] = (
    _flip_bits, _write_number, _cut, _remove, _repeat, _noise,
)  # fmt: skip


def psd(pixels: np.ndarray) -> bytes:
    """A Photoshop file of three channels of 8 bits, one after the other (Adobe Photoshop File Formats)."""
    height, width, _ = pixels.shape
    header = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, height, width, 8, 3)
    return header + bytes(12) + struct.pack(">H", 0) + pixels.transpose(2, 0, 1).tobytes()


def dng(values: np.ndarray) -> bytes:
    """A DNG of one strip of 16-bit values behind a filter of red, green, green, blue (DNG specification)."""
    height, width = values.shape
    short, long_, text, rational, octets = 3, 4, 2, 10, 1
    strip = (values.astype("<u2") * 16).tobytes()
    matrix = struct.pack("<18i", *(number for value in (1, 0, 0, 0, 1, 0, 0, 0, 1) for number in (value, 1)))
    entries: list[tuple[int, int, int, bytes]] = [
        (254, long_, 1, struct.pack("<I", 0)),
        (256, long_, 1, struct.pack("<I", width)),
        (257, long_, 1, struct.pack("<I", height)),
        (258, short, 1, struct.pack("<H", 16)),
        (259, short, 1, struct.pack("<H", 1)),
        (262, short, 1, struct.pack("<H", 32803)),
        (271, text, 6, b"maker\0"),
        (273, long_, 1, b""),
        (277, short, 1, struct.pack("<H", 1)),
        (278, long_, 1, struct.pack("<I", height)),
        (279, long_, 1, struct.pack("<I", len(strip))),
        (33421, short, 2, struct.pack("<HH", 2, 2)),
        (33422, octets, 4, bytes([0, 1, 1, 2])),
        (50706, octets, 4, bytes([1, 4, 0, 0])),
        (50708, text, 6, b"model\0"),
        (50721, rational, 9, matrix),
    ]
    place = 8 + 2 + 12 * len(entries) + 4
    far = b"".join(body for *_, body in entries if len(body) > 4)
    table, at = b"", place
    for tag, kind, count, body in entries:
        if tag == 273:
            value = struct.pack("<I", place + len(far))
        elif len(body) > 4:
            value, at = struct.pack("<I", at), at + len(body)
        else:
            value = body.ljust(4, b"\0")
        table += struct.pack("<HHI", tag, kind, count) + value
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + table + bytes(4) + far + strip

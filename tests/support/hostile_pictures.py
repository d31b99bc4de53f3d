"""Generators of hostile pictures: small files that take much time or memory to decode."""

import io
import struct
from typing import Any

from PIL import Image

from embedder.images.decoder import Decoder

_START_OF_SCAN = b"\xff\xda"


def jpeg_of_scans(width: int, height: int, scans: int) -> bytes:
    """A progressive JPEG of one shade, whose last scan is repeated until there are so many."""
    stream = io.BytesIO()
    Image.new("L", (width, height), 90).save(stream, "JPEG", progressive=True)
    data = stream.getvalue()
    last, end = data.rindex(_START_OF_SCAN), data.rindex(b"\xff\xd9")
    more = scans - data.count(_START_OF_SCAN)
    return data[:end] + data[last:end] * more + data[end:]


def slow_bmp(pixels: int = 12_000_000) -> bytes:
    """A BMP in runs of one pixel: its decoder holds the interpreter for about a second for each million."""
    width, height = 4000, pixels // 4000
    body = (b"\x01\x55" * width + b"\0\0") * height + b"\0\1"
    palette = bytes(4 * 256)
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(body), 0, 0, 256, 0)
    start = 14 + len(header) + len(palette)
    return struct.pack("<2sIHHI", b"BM", start + len(body), 0, 0, start) + header + palette + body


BOMBS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "PNG of 16 bits": ("PNG", "I;16", {}),
    "TIFF of floats": ("TIFF", "F", {"compression": "tiff_adobe_deflate"}),
    "WebP": ("WEBP", "RGB", {"method": 0}),
    "GIF": ("GIF", "P", {}),
    "JPEG XL": ("JXL", "RGB", {"effort": 1}),
    "progressive JPEG": ("JPEG", "RGB", {"progressive": True}),
}
"""Formats of small files with many pixels: Pillow's name, its mode and its options."""


def bomb(kind: str, side: int) -> bytes:
    """A picture of one shade with so many pixels a side."""
    Decoder(1)  # registers the formats of plugins
    format_, mode, options = BOMBS[kind]
    stream = io.BytesIO()
    Image.new("L", (side, side), 90).convert(mode).save(stream, format_, **options)
    return stream.getvalue()

"""
How many bytes the decoding of a picture takes at its peak, by its format and kind of pixels.

The figures are upper bounds. ``tests/unit/embedder/decoding/test_decoding_bytes.py`` measures them.
"""

from typing import Final

from PIL import Image

_RESULT = 3
"""Bytes of a pixel as it is answered. They are copied into shared memory when those of the decoder are gone."""

_FIXED: Final = 32 << 20
"""Bytes for strips, tables and the decoder itself."""

_COEFFICIENTS = 2
"""Bytes of each coefficient that a JPEG of several scans keeps."""

_JPEG = 4 + _RESULT
"""Bytes of a pixel of a JPEG: before and after its colours are converted, or before and after it is turned."""

_STORED: Final = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}
"""Bytes of a pixel in Pillow's memory, for the modes that take fewer than four."""

_DECODERS: Final = {"WEBP": 11, "HEIF": 4, "AVIF": 5, "JXL": 12, "TIFF": 3, "GIF": 3, "PSD": 4, "PPM": 3}
"""Further bytes of a pixel within the decoders that do not decode by rows."""

_JPEG_2000 = 6
"""Bytes of each value within the decoder of JPEG 2000."""

RAW_BYTES: Final = 16
"""Bytes of a pixel of camera RAW, within LibRaw and after it."""


def decoding_bytes(format_: str, mode: str, pixels: int) -> int:
    """The bytes for a picture whose size and mode (Pillow's) its header states."""
    inside = _JPEG_2000 * Image.getmodebands(mode) if format_ == "JPEG2000" else _DECODERS.get(format_, 0)
    return _FIXED + pixels * (_STORED.get(mode, 4) + inside + _RESULT)


def jpeg_bytes(image: Image.Image, scans: int, reduction: int) -> int:
    """The bytes for a JPEG that is decoded at a part of its size; its coefficients are kept whole."""
    pixels = image.width * image.height
    kept = _COEFFICIENTS * len(image.getbands()) * pixels if scans > 1 else 0
    return _FIXED + kept + _JPEG * -(-pixels // reduction**2)

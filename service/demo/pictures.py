"""The picture files of the demo, written like those of cameras and phones, and their previews."""

import io
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

TYPES = {".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}

_ORIENTATION, _EXIF_FOLDER = 0x0112, 0x8769  # tags of EXIF 2.3
_TAKEN_AT, _TAKEN_AT_OFFSET = 0x9003, 0x9011
_QUARTER_TURNS = {1: 0, 6: 1, 8: 3}
"""EXIF orientation -> quarter turns to the left of the upright picture before it is stored."""


def write_picture(rgb: NDArray[np.uint8], path: Path, taken_at: datetime, orientation: int = 1) -> None:
    """Store an upright picture with its EXIF date, turned on its side when ``orientation`` is 6 or 8."""
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    folder = exif.get_ifd(_EXIF_FOLDER)
    folder[_TAKEN_AT] = f"{taken_at:%Y:%m:%d %H:%M:%S}"
    folder[_TAKEN_AT_OFFSET] = "+00:00"
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.ascontiguousarray(np.rot90(rgb, _QUARTER_TURNS[orientation])))
    match path.suffix:
        case ".png":
            image.save(path, exif=exif, compress_level=3)
        case ".webp":
            image.save(path, exif=exif, quality=90, method=2)
        case _:
            image.save(path, exif=exif, quality=90)


def read_preview(path: Path, short_side: int) -> bytes:
    """Return an upright JPEG with a short side of at most ``short_side`` pixels; raise ``OSError`` if it is broken."""
    with Image.open(path) as stored:
        image = ImageOps.exif_transpose(stored).convert("RGB")
    scale = min(1.0, short_side / min(image.size))
    if scale < 1:
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
    answer = io.BytesIO()
    image.save(answer, "JPEG", quality=80)
    return answer.getvalue()

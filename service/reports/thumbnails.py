"""Local images of a picture: the file in a folder, if unchanged since it was read, and face crops."""

import base64
import io
import struct
from pathlib import Path

from PIL import Image, ImageOps

from service.sources.folder.path_names import system_name
from service.sources.folder.walk import stamp_of
from service.store.picture_copies import Copy

_MOST_PIXELS = 120_000_000
PILLOW_ERRORS = (
    OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, struct.error,
    Image.DecompressionBombError,
)  # fmt: skip
"""Errors that Pillow is known to raise on damaged files."""


def folder_file(copy: Copy) -> Path | None:
    """
    Return the path of a folder's file.

    None for Immich's, and where it is missing or has changed since it was read.
    """
    if copy.root is None:
        return None
    path = Path(copy.root) / system_name(copy.asset_id)
    try:
        return path if stamp_of(path.stat()) == copy.stamp else None
    except (OSError, ValueError):
        return None


def thumbnail(path: Path, side: int) -> str | None:
    """
    Return a small upright JPEG of a picture file as a ``data:`` URL; None when it is missing or unreadable.

    Blocking.
    """
    try:
        with Image.open(path) as image:
            if image.width * image.height > _MOST_PIXELS:
                return None
            image.draft("RGB", (2 * side, 2 * side))
            small = ImageOps.exif_transpose(image).convert("RGB")
            small.thumbnail((side, side), Image.Resampling.LANCZOS)
            stream = io.BytesIO()
            small.save(stream, "JPEG", quality=82)
    except PILLOW_ERRORS:
        return None
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"

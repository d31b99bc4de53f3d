"""Stored crops and their thumbnails, by the digests in their names."""

import asyncio
import hashlib
import io
from pathlib import Path

from PIL import Image

from service.reports.thumbnails import PILLOW_ERRORS
from service.web.library.addresses import CROP_NAME

_AT_ONCE = 2
_MOST_BYTES, _MOST_SIDE = 16 * 1024 * 1024, 8192
_QUALITY = 85


class PictureReads:
    """
    The crops in a folder.

    Only files whose bytes have the digest of their name are read: crops that the embedder made of pictures, and never
    pictures of others.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def crop(self, name: str) -> bytes | None:
        """Return a stored crop; None where there is none of this name."""
        return await asyncio.to_thread(stored_crop, self._folder, name)

    async def thumbnail(self, name: str, side: int) -> bytes | None:
        """Return a crop reduced to a side of that many pixels; None where there is none of this name."""
        async with self._places:
            return await asyncio.to_thread(_thumbnail, self._folder, name, side)


def stored_crop(folder: Path, name: str) -> bytes | None:
    """Return the bytes of a crop; None for a name that is none of ours, and for a missing or damaged file. Blocks."""
    found = CROP_NAME.fullmatch(name)
    path = folder / name[:2] / name
    if found is None or not path.is_file() or path.stat().st_size > _MOST_BYTES:
        return None
    try:
        image = path.read_bytes()
    except FileNotFoundError:  # deleted meanwhile
        return None
    return image if hashlib.sha256(image).hexdigest() == found[2] else None


def _thumbnail(folder: Path, name: str, side: int) -> bytes | None:
    image = stored_crop(folder, name)
    return None if image is None else reduced(image, side)


def reduced(image: bytes, side: int) -> bytes | None:
    """Return a JPEG in a square of that side; it is never enlarged. None where it is no JPEG, or too large."""
    try:
        with Image.open(io.BytesIO(image), formats=["JPEG"]) as picture:
            if max(picture.size) > _MOST_SIDE:
                return None
            picture.draft("RGB", (2 * side, 2 * side))
            small = picture.convert("RGB")
            small.thumbnail((side, side), Image.Resampling.LANCZOS)
            stream = io.BytesIO()
            small.save(stream, "JPEG", quality=_QUALITY)
    except PILLOW_ERRORS:
        return None
    return stream.getvalue()

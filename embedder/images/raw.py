"""
Camera RAW and DNG through LibRaw (rawpy), where it is installed.

Most RAW files are TIFFs whose first picture is only a thumbnail, and LibRaw accepts many plain TIFFs as RAW files. So a
TIFF counts as RAW in two cases: Pillow cannot read it at all, or a camera made it and LibRaw finds far more pixels.
"""

import importlib.util
import io
import struct
from collections.abc import Callable

import numpy as np
from PIL import Image

from embedder.engine import Pixels
from immich_facesets.errors import ItemError
from immich_facesets.picture_formats import RAW_STARTS

HAS_RAWPY = importlib.util.find_spec("rawpy") is not None
"""False in a slim installation: RAW files then come as Immich's rendition."""

_MAKE_TAG = 271
_THUMBNAIL_FACTOR = 4
_SURELY_PLAIN = -1
_TIFF = (b"II*\0", b"MM\0*")


def looks_raw(data: bytes) -> bool:
    """Return whether the bytes may be a RAW file, which only LibRaw can decide."""
    return data.startswith(_TIFF + RAW_STARTS)


def decode_raw(data: bytes, check: Callable[[int, int], None]) -> Pixels | None:
    """
    Upright sRGB pixels, (height, width, 3); None when these bytes are a plain TIFF, for Pillow to read.

    ``check`` is given width and height before any pixel is decoded. Damage is an ``ItemError``.
    """
    if not HAS_RAWPY:
        if data.startswith(RAW_STARTS):
            raise ItemError("camera RAW cannot be read: install the package rawpy", reason="unsupported")
        return None
    import rawpy  # noqa: PLC0415  optional

    plain = _plain_pixels(data)
    if plain == _SURELY_PLAIN:
        return None
    try:
        with rawpy.RawPy() as raw:
            raw.open_buffer(io.BytesIO(data))
            if raw.sizes.width * raw.sizes.height < _THUMBNAIL_FACTOR * plain:
                return None
            check(raw.sizes.width, raw.sizes.height)
            pixels = raw.postprocess(use_camera_wb=True, output_bps=8)
    except rawpy.LibRawFileUnsupportedError:
        if data.startswith(_TIFF):
            return None
        raise ItemError("LibRaw does not know this camera's files", reason="unsupported") from None
    except rawpy.LibRawError as error:
        raise ItemError("the RAW file is damaged: LibRaw cannot read its data", reason="corrupt") from error
    return np.ascontiguousarray(pixels, dtype=np.uint8)


def _plain_pixels(data: bytes) -> int:
    """How many pixels Pillow sees in a TIFF of a camera: 0 if it cannot read it, -1 if no camera made it."""
    if not data.startswith(_TIFF):
        return 0
    try:
        with Image.open(io.BytesIO(data), formats=("TIFF",)) as image:
            made_by_camera = bool(image.getexif().get(_MAKE_TAG))
            return image.width * image.height if made_by_camera else _SURELY_PLAIN
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, RuntimeError, struct.error):
        return 0

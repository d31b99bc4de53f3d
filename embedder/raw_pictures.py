"""Camera RAW and DNG through LibRaw (rawpy), where it is installed."""

import importlib.util
import io
from collections.abc import Callable

import numpy as np

from embedder.colour import Pixels
from immich_facesets.errors import ItemError

HAS_RAWPY = importlib.util.find_spec("rawpy") is not None
"""False in a slim installation: RAW files then come as Immich's rendition."""

_TIFF = (b"II*\0", b"MM\0*")
_ONLY_RAW = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb", b"\0MRM", b"ARRI", b"\0\0\0\x18ftypcrx ")


def looks_raw(data: bytes) -> bool:
    """Whether LibRaw should be asked. Most RAW files are TIFFs in disguise, whose first picture is only a thumbnail."""
    return data.startswith(_TIFF + _ONLY_RAW)


def decode_raw(data: bytes, check: Callable[[int, int], None]) -> Pixels | None:
    """
    Upright sRGB pixels, (height, width, 3); None when LibRaw says that these bytes are no RAW (a plain TIFF).

    ``check`` is given width and height before any pixel is decoded. Damage is an ``ItemError``.
    """
    if not HAS_RAWPY:
        if data.startswith(_ONLY_RAW):
            raise ItemError("camera RAW is not read here: rawpy is not installed", reason="unsupported")
        return None
    import rawpy  # noqa: PLC0415  optional

    try:
        with rawpy.RawPy() as raw:
            raw.open_buffer(io.BytesIO(data))
            check(raw.sizes.width, raw.sizes.height)
            pixels = raw.postprocess(use_camera_wb=True, output_bps=8)
    except rawpy.LibRawFileUnsupportedError:
        if data.startswith(_TIFF):
            return None
        raise ItemError("LibRaw does not know this camera's files", reason="unsupported") from None
    except rawpy.LibRawError as error:
        raise ItemError(f"the RAW file is damaged: {type(error).__name__}", reason="corrupt") from error
    return np.ascontiguousarray(pixels, dtype=np.uint8)

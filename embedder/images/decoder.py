"""
The decoding of bytes to an upright sRGB picture, or an ``ItemError`` with the reason. File names are ignored.

The number of pixels is read from the header and checked before any pixel is decoded. A JPEG
beyond the limit is decoded at a half, a quarter or an eighth of its size; other formats are refused. Plain JPEGs go through OpenCV
(libjpeg-turbo, twice as fast and bit for bit the same as Pillow), camera RAW through LibRaw, all else through Pillow.
JPEG 2000 holds the GIL: ``embedder/decoding`` decodes in processes of its own.

A large JPEG is decoded at a half, a quarter or an eighth of its size where that is enough. This takes a fraction of the
time, because libjpeg-turbo then skips most of the inverse transform.
"""

import io
import struct
import warnings
import zlib
from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
import pillow_heif
import pillow_jxl  # noqa: F401  its import registers JPEG XL with Pillow
from PIL import Image, UnidentifiedImageError

from embedder.engine import Pixels
from embedder.images import truncated_jpeg
from embedder.images.colour import cv2_array, is_srgb, to_srgb, upright_srgb
from embedder.images.decoding_bytes import RAW_BYTES, decoding_bytes, jpeg_bytes
from embedder.images.hdr import png_cicp
from embedder.images.heif_boxes import heif_properties
from embedder.images.jxl_header import is_jxl, jxl_size
from embedder.images.picture import Allow, Picture, whole
from embedder.images.raw import decode_raw, looks_raw
from embedder.images.webp_header import webp_size
from immich_facesets.errors import ItemError
from immich_facesets.picture_formats import DECODED

FORMATS: Final = tuple(DECODED)

ORIENTATION_TAG: Final = 0x0112

_REDUCED: Final = {2: 16, 4: 32, 8: 64}
"""OpenCV's flags for reduced decoding; its named constants include BGR, which excludes RGB."""

_MOST_STORED: Final = 1 << 30
"""Pixels of the largest JPEG that OpenCV decodes at any size."""

MOST_SCANS: Final = 100
"""
Scans of the most elaborate progressive JPEG that is read; encoders write about ten.

Every scan passes over the whole picture, and takes a few hundred bytes and up to 0.2 seconds.
"""

_DECODER_ERRORS = (
    OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, RuntimeError, ArithmeticError, AttributeError,
    struct.error, zlib.error, cv2.error, AssertionError,
)  # fmt: skip
"""Exceptions that Pillow and its plugins are known to raise on damaged files."""


class Decoder:
    """Decodes pictures to at most ``max_pixels``. ``reserve`` is called with the bytes that a picture takes, before."""

    def __init__(self, max_pixels: int, *, reserve: Callable[[int], None] = lambda _size_bytes: None) -> None:
        self.max_pixels = max_pixels
        self._reserve = reserve
        pillow_heif.register_heif_opener()
        Image.MAX_IMAGE_PIXELS = None  # we check ourselves, by our own limit and with our own reason
        warnings.filterwarnings("ignore", module="PIL|pillow_")  # remarks about odd metadata

    def decode(self, data: bytes, allow: Allow = whole) -> Picture:
        """
        Return the picture in ``data``, reduced by at most what ``allow`` returns for its upright size.

        ``ItemError`` with reason empty, not_a_picture, unsupported, corrupt, too_many_pixels, too_many_scans,
        too_much_memory.
        """
        if not data:
            raise ItemError("the file is empty", reason="empty")
        if is_jxl(data):
            self._check_and_reserve("JXL", _jxl_size(data))
        elif (size := webp_size(data)) is not None:
            self._check_and_reserve("WEBP", size)  # to open it takes memory for all its pixels
        if looks_raw(data):
            pixels = decode_raw(data, self._check_raw)
            if pixels is not None:
                return Picture.whole(pixels, orientation=None)
        try:
            return self._decode_with_pillow(data, allow)
        except MemoryError:
            raise ItemError("the picture needs more memory than there is", reason="too_much_memory") from None

    def _decode_with_pillow(
        self, data: bytes, allow: Allow, *, may_be_cut_off: bool = True, may_use_opencv: bool = True
    ) -> Picture:
        """
        Decode through Pillow, or plain JPEGs through OpenCV, which is faster.

        OpenCV's decoder writes a warning to the terminal where a JPEG is cut off.
        """
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                least = self._least_reduction(image)
                is_jpeg = image.format in {"JPEG", "MPO"}
                if may_be_cut_off:
                    self._reserve_for(data, image, allow, least)
                if may_be_cut_off and is_jpeg and not truncated_jpeg.ends(data):
                    return self._decode_what_is_left(data, image.size, allow)
                profile = image.info.get("icc_profile")
                plain = may_use_opencv and is_jpeg and image.mode in {"RGB", "L"}
                if plain and (not isinstance(profile, bytes) or is_srgb(profile)):
                    orientation = _orientation(image)
                    reduction = max(least, _reduction(allow, image.size, orientation))
                    pixels = _decode_jpeg(data, image.size, reduction)
                    if pixels is not None:
                        return Picture.of_jpeg(pixels, image.size, orientation, reduction)
                return _decode_whole(data, image) if least == 1 else _decode_reduced(image, least)
        except UnidentifiedImageError:
            raise _unidentified(data) from None
        except _DECODER_ERRORS as error:
            raise ItemError(f"the picture is damaged: {_fault(error)}", reason="corrupt") from error

    def _reserve_for(self, data: bytes, image: Image.Image, allow: Allow, least: int) -> None:
        """Reserve what the decoding of an opened picture takes, but for the formats that had it reserved before."""
        if image.format in {"JPEG", "MPO"}:
            scans = _checked_scans(data)
            reduction = max(least, _reduction(allow, image.size, _orientation(image)))
            is_whole = not truncated_jpeg.ends(data) or image.mode not in {"RGB", "L"} or "icc_profile" in image.info
            self._reserve(jpeg_bytes(image, scans, least if is_whole else reduction))
        elif image.format not in {"JXL", "WEBP"}:
            self._reserve(decoding_bytes(image.format or "", image.mode, image.width * image.height))

    def _decode_what_is_left(self, data: bytes, size: tuple[int, int], allow: Allow) -> Picture:
        """The picture in a JPEG that ends too early, with the area that is whole."""
        self._check(*size)  # both ways of completing it are decoded whole
        rows = truncated_jpeg.whole_rows(data)
        if not rows:
            raise ItemError("the picture is damaged: it ends too early, and most of it is missing", reason="corrupt")
        is_whole = rows == size[1]
        picture = self._decode_with_pillow(
            truncated_jpeg.completed(data), allow, may_be_cut_off=False, may_use_opencv=is_whole
        )
        return picture.cut_off(rows)

    def least_reduction(self, width: int, height: int) -> int:
        """Return by what factor a picture of this size must be reduced to fit; 0 where no factor is enough."""
        if width * height > max(_MOST_STORED, self.max_pixels):
            return 0
        return next((one for one in (1, *_REDUCED) if width * height <= self.max_pixels * one**2), 0)

    def _least_reduction(self, image: Image.Image) -> int:
        """
        Return by what factor a picture must be reduced; ``ItemError`` for one too large that cannot be reduced.

        A progressive JPEG cannot: its decoder keeps the coefficients of every pixel.
        """
        is_baseline = image.format in {"JPEG", "MPO"} and "progressive" not in image.info
        least = self.least_reduction(*image.size)
        if not (least and is_baseline):
            self._check(*image.size)
        return least

    def _check_and_reserve(self, format_: str, size: tuple[int, int]) -> None:
        self._check(*size)
        self._reserve(decoding_bytes(format_, "RGBA", size[0] * size[1]))

    def _check_raw(self, width: int, height: int) -> None:
        self._check(width, height)
        self._reserve(RAW_BYTES * width * height)

    def _check(self, width: int, height: int) -> None:
        if width * height > self.max_pixels:
            raise ItemError(
                f"the picture has {width} x {height} pixels, more than the {self.max_pixels} this embedder takes "
                "(FACESETS_EMBEDDER_MAX_PIXELS)",
                reason="too_many_pixels",
            )


def _checked_scans(data: bytes) -> int:
    scans = truncated_jpeg.count_scans(data)
    if scans > MOST_SCANS:
        raise ItemError(
            f"the JPEG comes in {scans} scans, more than the {MOST_SCANS} that are read: store it anew in an image editor",
            reason="too_many_scans",
        )
    return scans


def _decode_whole(data: bytes, image: Image.Image) -> Picture:
    """The picture through Pillow, with all its pixels."""
    if image.format in {"HEIF", "AVIF"}:
        properties = heif_properties(data)
        stored = 1 if properties.is_turned else _exif_orientation(image)
        image.load()
        left_to_undo = _orientation(image) if properties.is_turned else stored
        return Picture.whole(upright_srgb(image, left_to_undo, properties.cicp), stored)
    # A TIFF is turned during loading and then no longer has its orientation. That of others is read after loading:
    # reading it loads a PNG, and its damage is no longer found.
    stored = _orientation(image) if image.format == "TIFF" else 1
    image.load()
    orientation = _orientation(image)
    cicp = png_cicp(data) if image.format == "PNG" else None
    return Picture.whole(upright_srgb(image, orientation, cicp), stored if image.format == "TIFF" else orientation)


def _decode_reduced(image: Image.Image, reduction: int) -> Picture:
    """A JPEG through Pillow, with its sides divided by ``reduction``."""
    size = image.size
    image.draft(None, (size[0] // reduction, size[1] // reduction))
    image.load()
    if image.size != tuple(-(-side // reduction) for side in size):
        raise ItemError("the picture is damaged: it cannot be decoded at a part of its size", reason="corrupt")
    return Picture.of_jpeg(to_srgb(image), size, _orientation(image), reduction)


def _exif_orientation(image: Image.Image) -> int:
    """
    The orientation in the EXIF of a HEIF or AVIF file, 1 where there is none.

    Their plugins replace it by that of the container, which counts alone where there is one.
    """
    try:
        if image.format == "HEIF":
            value = image.info.get("original_orientation") if ORIENTATION_TAG in image.getexif() else 1
        else:
            exif = Image.Exif()
            exif.load(image._decoder.get_info()[4] or b"")  # type: ignore[attr-defined]  # noqa: SLF001  Pillow keeps it nowhere else
            value = exif.get(ORIENTATION_TAG, 1)
    except _DECODER_ERRORS:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _fault(error: Exception) -> str:
    """Return what is wrong with a damaged picture, in words; decoders state it in many ways."""
    if isinstance(error, EOFError) or "truncated" in str(error).lower():
        return "it ends too early"
    if isinstance(error, zlib.error):
        return "its packed data cannot be unpacked"
    return "its data breaks the rules of its format"


def _reduction(allow: Allow, size: tuple[int, int], orientation: int) -> int:
    """The largest of libjpeg's reductions that is allowed for a JPEG of this size as stored."""
    width, height = size if orientation < 5 else size[::-1]
    allowed = allow(width, height)
    return max((reduction for reduction in _REDUCED if reduction <= allowed), default=1)


def _decode_jpeg(data: bytes, size: tuple[int, int], reduction: int) -> Pixels | None:
    """A JPEG's pixels as stored; None leaves it to Pillow."""
    how = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION | _REDUCED.get(reduction, 0)
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), how)
    if pixels is None or pixels.shape[1::-1] != tuple(-(-side // reduction) for side in size):
        return None
    return cv2_array(pixels)


def _orientation(image: Image.Image) -> int:
    """
    The EXIF orientation that still has to be undone, 1 where there is none.

    HEIF and TIFF come upright out of their decoders; so does JPEG XL, but for JPEGs packed into it.
    """
    if image.format == "HEIF" or (image.format == "JXL" and not getattr(image, "jpeg", False)):
        return 1
    try:
        value = image.getexif().get(ORIENTATION_TAG, 1)
    except _DECODER_ERRORS:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _jxl_size(data: bytes) -> tuple[int, int]:
    try:
        return jxl_size(data)
    except ValueError as error:
        raise ItemError(f"the picture is damaged: {error}", reason="corrupt") from error


def _unidentified(data: bytes) -> ItemError:
    """Return the error that explains why no decoder could read these bytes."""
    known = (b"\xff\xd8", b"\x89PNG", b"GIF8", b"RIFF", b"BM", b"II*\0", b"MM\0*", b"8BPS")
    if data.startswith(known) or data[4:12] in {b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypavif", b"ftypmsf1"}:
        return ItemError("the picture is damaged: its header cannot be read", reason="corrupt")
    head = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith((b"<", b"{", b"[")) or not any(byte < 9 or 13 < byte < 32 or byte > 126 for byte in head):
        return ItemError("the file is text, not a picture", reason="not_a_picture")
    return ItemError("the file is no picture of a format that can be read", reason="unsupported")

"""Any pixels to upright sRGB: profiles, alpha, palettes, deep greys, EXIF orientation."""

import functools
import io
from collections.abc import Callable, Mapping

import cv2
import numpy as np
from PIL import Image, ImageCms

from embedder.engine import Pixels
from embedder.images.hdr import Cicp, tone_mapped

_UNDO: Mapping[int, Callable[[Pixels], object]] = {
    2: lambda pixels: cv2.flip(pixels, 1),
    3: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_180),
    4: lambda pixels: cv2.flip(pixels, 0),
    5: cv2.transpose,
    6: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE),
    7: lambda pixels: cv2.flip(cv2.transpose(pixels), -1),
    8: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE),
}

_TURNED = {5, 6, 7, 8}
_FROM_THE_END = {3, 4, 6, 7}
"""Orientations whose first stored row becomes the last row or column."""

_STRIP_ROWS = 256
_SAME_AS_SRGB = ("srgb", "c2")


def to_srgb(image: Image.Image, cicp: Cicp | None = None, brightest: float | None = None) -> Pixels:
    """
    The pixels of a loaded picture in sRGB, alpha flattened on white. Orientation is left alone.

    ``cicp``: the code points of its container. They take precedence over a profile where the range is high.
    ``brightest``: the largest value of the picture that this is a strip of.
    """
    profile = image.info.get("icc_profile")
    image = _flat(_eight_bits(image, _brightest(image) if brightest is None else brightest))
    if cicp is not None and cicp.is_hdr:
        return tone_mapped(np.asarray(image.convert("RGB")), cicp)
    if isinstance(profile, bytes) and not is_srgb(profile):
        image = _converted(image, profile)
    if image.mode != "RGB":
        image = image.convert("RGB")
    return np.asarray(image)


def upright_srgb(image: Image.Image, orientation: int, cicp: Cicp | None = None) -> Pixels:
    """
    Return the pixels of a loaded picture in sRGB, with its orientation undone.

    They are converted in strips: a copy of the whole picture for each step would take several times its memory.
    """
    width, height = image.size
    rows, columns = (width, height) if orientation in _TURNED else (height, width)
    pixels = np.empty((rows, columns, 3), np.uint8)
    brightest = _brightest(image)
    for top in range(0, height, _STRIP_ROWS):
        bottom = min(top + _STRIP_ROWS, height)
        strip = image.crop((0, top, width, bottom))
        start, end = (height - bottom, height - top) if orientation in _FROM_THE_END else (top, bottom)
        part = pixels[:, start:end] if orientation in _TURNED else pixels[start:end]
        part[...] = upright(to_srgb(strip, cicp, brightest), orientation)
    return pixels


def is_srgb(profile: bytes) -> bool:
    """Return whether a profile is sRGB or cannot be read at all (then its pixels are taken as sRGB)."""
    return _description(profile).lower().startswith(_SAME_AS_SRGB) or not _description(profile)


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undo an EXIF orientation (1 to 8; anything else counts as 1)."""
    undo = _UNDO.get(orientation)
    return pixels if undo is None else cv2_array(undo(pixels))


def cv2_array(array: object) -> Pixels:
    """Narrow the type of an OpenCV result: its stubs allow any number, but bytes in give bytes out."""
    return np.ascontiguousarray(array, dtype=np.uint8)


def _brightest(image: Image.Image) -> float:
    """The largest value of greys of 16 or 32 bits and of floats; 0 for everything else."""
    if not image.mode.startswith(("I", "F")):
        return 0.0
    strips = (
        np.asarray(image.crop((0, top, image.width, min(top + _STRIP_ROWS, image.height))))
        for top in range(0, image.height, _STRIP_ROWS)
    )
    return max(float(np.fmax.reduce(strip, axis=None, initial=0)) for strip in strips)


def _eight_bits(image: Image.Image, brightest: float) -> Image.Image:
    """Greys of 16 or 32 bits, and floats, reduced to 8 bits; everything else as it is."""
    if not image.mode.startswith(("I", "F")):
        return image
    values = np.asarray(image).astype(np.float32)
    if image.mode == "F":
        values = np.nan_to_num(values) * (255.0 if brightest <= 1.0 else 1.0)
    elif brightest > 255.0:
        values = values / 257.0
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))


def _flat(image: Image.Image) -> Image.Image:
    """The picture without alpha and palette."""
    if image.mode in {"RGB", "L", "CMYK"} and "transparency" not in image.info:
        return image
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        ground.alpha_composite(layer)
        return ground.convert("RGB")
    if image.mode in {"L", "CMYK", "LAB"}:
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _converted(image: Image.Image, profile: bytes) -> Image.Image:
    """The picture in sRGB; unchanged when the profile does not fit the kind of pixels it came with."""
    for candidate in (image, image.convert("RGB")):
        transform = _transform(profile, candidate.mode)
        if transform is not None:
            return ImageCms.applyTransform(candidate, transform) or candidate
    return image


@functools.lru_cache(maxsize=64)
def _description(profile: bytes) -> str:
    try:
        return ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile))).strip()
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return ""


@functools.lru_cache(maxsize=64)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    try:
        return ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        )
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return None

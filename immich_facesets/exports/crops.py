"""
Finished pictures: a stored square crop becomes the PNG of an export.

Pictures are (size, size, 3) uint8 in OpenCV's channel order (BGR); the PNG is plain 8-bit RGB, or RGBA with a mask. The
same crop gives the same bytes in every run.
"""

import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from immich_facesets.errors import ItemError
from immich_facesets.exports.crop_geometry import with_margins
from immich_facesets.exports.origin_marks import software
from immich_facesets.face_template import similarity, template
from immich_facesets.faces import Box, Landmarks

Picture = NDArray[np.uint8]
Area = tuple[float, float, float, float]

STRANGER_MARGIN = 0.25
"""The share of its box that is painted over on every side of a second face: detectors use a face's outline, too."""

REST = 128
"""The value of a mask beside the head, of 255: clothes and places are learned half as much as looks."""

PNG_SETTINGS = (cv2.IMWRITE_PNG_COMPRESSION, 3)
"""Level 3 takes 45 ms and 244 kB for a picture of 512 pixels; 9 takes 800 ms for 13 % less."""

_ROUNDING = 0.01  # pixels
_FINEST = 2  # pixels of a crop for one of its aligned face: linear sampling of more would leave some out
_SIGNATURE_AND_HEADER = 8 + 12 + 13  # a PNG begins with its signature and the IHDR chunk (PNG specification, 5.6)
_DECODING = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
_REDUCED = tuple(
    (part, flag | cv2.IMREAD_IGNORE_ORIENTATION)
    for part, flag in (
        (8, cv2.IMREAD_REDUCED_COLOR_8),
        (4, cv2.IMREAD_REDUCED_COLOR_4),
        (2, cv2.IMREAD_REDUCED_COLOR_2),
    )
)


def grey_picture(stored: bytes) -> NDArray[np.uint8]:
    """Return a stored crop as a grey picture (h, w), for its perceptual hash."""
    return cv2.cvtColor(_decoded(stored), cv2.COLOR_BGR2GRAY).astype(np.uint8, copy=False)


def finished_picture(stored: bytes, out_size: int, part: Box | None = None) -> Picture:
    """
    Return a stored crop, or the square ``part`` of it (in shares of its side), at ``out_size`` x ``out_size`` pixels.

    It is shrunk by area averaging (no moire), or enlarged by Lanczos (keeps edges that bicubic softens). A crop that
    cannot be read is an ``ItemError``.
    """
    picture = _decoded(stored)
    return resized(picture if part is None else _cut(picture, part), out_size)


def _cut(picture: Picture, part: Box) -> Picture:
    """Return a square part of a square picture, in whole pixels; ``part`` is in shares of its side."""
    whole = min(picture.shape[:2])
    side = min(max(1, round(part.width * whole)), whole)
    left, top = (min(max(0, round(edge * whole)), whole - side) for edge in (part.x1, part.y1))
    return picture[top : top + side, left : left + side]


def box_picture(stored: bytes, part: Box, pixels: int) -> Picture:
    """
    Return a part of a stored crop, in shares of its side, so that its longer side has so many pixels.

    A crop that cannot be read is an ``ItemError``.
    """
    picture = _decoded(stored)
    whole = picture.shape[0]
    left, top = (min(max(0, round(edge * whole)), whole - 1) for edge in (part.x1, part.y1))
    right, bottom = round(part.x2 * whole), round(part.y2 * whole)
    cut = picture[top : max(bottom, top + 1), left : max(right, left + 1)]
    factor = pixels / max(cut.shape[:2])
    size = tuple(max(1, round(factor * side)) for side in cut.shape[1::-1])
    how = cv2.INTER_AREA if factor <= 1.0 else cv2.INTER_LANCZOS4
    return cv2.resize(cut, size, interpolation=how).astype(np.uint8, copy=False)


def small_picture(stored: bytes, side: int, stored_side: int) -> Picture:
    """Return a stored crop, about ``stored_side`` pixels wide, at ``side`` pixels; decoded no larger than necessary."""
    how = next((flag for part, flag in _REDUCED if stored_side >= part * side), _DECODING)
    return resized(_decoded(stored, how), side)


def resized(picture: Picture, out_size: int) -> Picture:
    """Return a square picture at another size, or unchanged at its own size."""
    if picture.shape[:2] == (out_size, out_size):
        return picture
    shrinks = min(picture.shape[:2]) >= out_size
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LANCZOS4
    return cv2.resize(picture, (out_size, out_size), interpolation=how).astype(np.uint8, copy=False)


def cut_picture(stored: bytes, turns: int, size: tuple[int, int]) -> Picture:
    """
    Return a stored cut after ``turns`` quarter turns (counter-clockwise), at this width and height.

    It is shrunk by area averaging. A cut that cannot be read is an ``ItemError``.
    """
    picture = np.ascontiguousarray(np.rot90(_decoded(stored), turns))
    if picture.shape[1::-1] == size:
        return picture
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def box_in_crop(box: Box, area: Area, out_size: int, *, turns: int = 0) -> Box:
    """
    Return the position of an original's box in the finished picture.

    The finished picture shows ``area`` of the original after ``turns`` quarter turns (counter-clockwise).
    """
    x1, y1, x2, y2 = area
    if x2 <= x1 or y2 <= y1:
        raise ValueError("a crop shows an area of no size")
    moved = Box(box.x1 - x1, box.y1 - y1, box.x2 - x1, box.y2 - y1)
    found = moved.scaled(out_size / (x2 - x1), out_size / (y2 - y1))
    for _ in range(turns % 4):
        found = Box(found.y1, out_size - found.x2, found.y2, out_size - found.x1)
    return found


def points_in_crop(points: Landmarks, area: Area, size: int, *, turns: int = 0) -> Landmarks:
    """Return the five points of an original in the finished picture, as ``box_in_crop`` does for a box."""
    a, b, c, d, e = (box_in_crop(Box(x, y, x, y), area, size, turns=turns) for x, y in points)
    return ((a.x1, a.y1), (b.x1, b.y1), (c.x1, c.y1), (d.x1, d.y1), (e.x1, e.y1))


def points_in_original(points: NDArray[np.float64], area: Area, size: int, *, turns: int = 0) -> NDArray[np.float64]:
    """
    Return points (n, 2 or 3) of a finished picture of ``size`` pixels in coordinates of the original.

    The picture shows ``area`` of the original after ``turns`` quarter turns (counter-clockwise). A depth is scaled like
    the picture.
    """
    found = points.astype(np.float64)
    for _ in range(turns % 4):
        found[:, 0], found[:, 1] = size - found[:, 1], found[:, 0].copy()
    x1, y1, x2, y2 = area
    scale = (x2 - x1) / size
    found[:, :2] = found[:, :2] * [scale, (y2 - y1) / size] + [x1, y1]
    found[:, 2:] *= scale
    return found


def aligned_picture(stored: bytes, points: Landmarks, inside: Box, side: int) -> Picture:
    """
    Return the face of a stored crop on ArcFace's template, as the embedder aligns it; black outside its picture.

    ``points``: the five points of the face; ``inside``: the part of the crop that lies in its picture. Both are in
    shares of the crop's side. Points on one spot are an ``ItemError``.
    """
    picture, target = _decoded(stored), template(side)
    whole = picture.shape[0]
    picture = blacken_outside(picture, inside.scaled(whole, whole))
    linear = similarity(points, target)[:, 0]
    reduced = max(1, min(whole, round(_FINEST * float(np.hypot(*linear)))))
    picture = resized(picture, reduced)
    moved = similarity(tuple((x * reduced, y * reduced) for x, y in points), target)  # type: ignore[arg-type]  # five
    return cv2.warpAffine(picture, moved, (side, side), borderValue=0.0).astype(np.uint8, copy=False)


@dataclass(frozen=True, slots=True)
class AlphaMask:
    """
    The part of a finished picture that trainers should not learn from; boxes are in its pixels.

    ``strangers``: other faces; ``face``: the person's own, of which no pixel is masked; ``inside``: the part that lies in
    the original.
    """

    strangers: tuple[Box, ...]
    face: Box
    inside: Box

    def opaque(self, height: int, width: int) -> NDArray[np.bool_]:
        """Return the pixels (height, width) to learn from: all but the strangers, with a margin, and what lies outside."""
        shape = height, width
        is_opaque = _mask(shape, self.inside, 0.0)
        for stranger in self.strangers:
            is_opaque &= ~_mask(shape, stranger, STRANGER_MARGIN)
        return is_opaque | _mask(shape, self.face, 0.0)

    def weights(self, height: int, width: int) -> NDArray[np.uint8]:
        """
        Return how much a trainer should learn from each pixel (height, width), of 255.

        It is all of the head, half of the rest, and nothing of what is not ``opaque``.
        """
        shown = np.where(self.opaque(height, width), REST, 0).astype(np.uint8)
        shown[_mask((height, width), with_margins(self.face), 0.0) & (shown > 0)] = 255
        return shown

    def put_on(self, picture: Picture) -> Picture:
        """Return a copy (height, width, 4) that is transparent there. Its colours stay, for readers without masks."""
        return np.dstack([picture, np.where(self.opaque(*picture.shape[:2]), 255, 0).astype(np.uint8)])


def paint_over(picture: Picture, strangers: Sequence[Box], face: Box) -> Picture:
    """
    Return a copy without the strangers: each box, with a margin, in the mean colour of its surroundings.

    No pixel of ``face`` changes, so a stranger's face that overlaps it may still be found: check the picture again.
    """
    painted = picture.copy()
    shape = picture.shape[0], picture.shape[1]
    untouchable = _mask(shape, face, 0.0)
    hidden = np.zeros(shape, dtype=bool)
    for stranger in strangers:
        hidden |= _mask(shape, stranger, STRANGER_MARGIN)
    hidden &= ~untouchable
    for stranger in strangers:
        spot = _mask(shape, stranger, STRANGER_MARGIN) & ~untouchable
        around = _mask(shape, stranger, 2 * STRANGER_MARGIN) & ~untouchable & ~hidden
        if not spot.any():
            continue
        source = picture[around] if around.any() else picture[~hidden]
        painted[spot] = np.round(source.mean(axis=0)).astype(np.uint8) if len(source) else 0
    return painted


def blacken_outside(picture: Picture, inside: Box) -> Picture:
    """
    Return a copy that is black outside the box ``inside``, in pixels; the picture itself where that is all of it.

    Stored crops repeat the edge of their picture there, which would be taken for hair and skin.
    """
    side = picture.shape[0]
    left, top = max(0, math.ceil(inside.x1 - _ROUNDING)), max(0, math.ceil(inside.y1 - _ROUNDING))
    right, bottom = min(side, math.floor(inside.x2 + _ROUNDING)), min(side, math.floor(inside.y2 + _ROUNDING))
    if (left, top, right, bottom) == (0, 0, side, side):
        return picture
    shown = np.zeros_like(picture)
    shown[top:bottom, left:right] = picture[top:bottom, left:right]
    return shown


def png(picture: Picture, texts: Mapping[str, str]) -> bytes:
    """
    Return the picture as a PNG with ``texts`` and no other metadata: no EXIF, no location, no timestamp.

    Keywords are 1 to 79 characters of Latin-1 (PNG specification, 11.3.3.2).
    """
    is_encoded, body = cv2.imencode(".png", picture, PNG_SETTINGS)
    if not is_encoded:
        raise ValueError("OpenCV could not encode a picture as PNG")
    plain = body.tobytes()
    chunks = b"".join(_text_chunk(keyword, text) for keyword, text in texts.items())
    return plain[:_SIGNATURE_AND_HEADER] + chunks + plain[_SIGNATURE_AND_HEADER:]


def provenance(*, asset_id: str, identity: int, version: str) -> dict[str, str]:
    """Return the texts that every exported PNG carries (docs/exports.md)."""
    return {"Software": software(version), "Asset": asset_id, "Identity": str(identity)}


def _text_chunk(keyword: str, text: str) -> bytes:
    """Return a tEXt chunk, which every reader supports, or an uncompressed iTXt chunk for text beyond Latin-1."""
    name = keyword.encode("latin-1")
    if not 1 <= len(name) <= 79:
        raise ValueError(f"{len(name)} characters are no PNG keyword")
    text = text.replace("\0", " ")
    try:
        kind, data = b"tEXt", name + b"\0" + text.encode("latin-1")
    except UnicodeEncodeError:
        kind, data = b"iTXt", name + b"\0\0\0\0\0" + text.encode("utf-8", errors="replace")
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _decoded(stored: bytes, how: int = _DECODING) -> Picture:
    try:
        picture = cv2.imdecode(np.frombuffer(stored, dtype=np.uint8), how) if stored else None
    except cv2.error:
        picture = None
    if picture is None:
        raise ItemError("a stored crop cannot be read", reason="bad_crop")
    return picture.astype(np.uint8, copy=False)


def _mask(shape: tuple[int, int], box: Box, margin: float) -> NDArray[np.bool_]:
    """Return the pixels of a picture (height, width) that a box touches, grown by ``margin`` of its sides in each direction."""
    wide, high = margin * box.width, margin * box.height
    mask = np.zeros(shape, dtype=bool)
    rows = slice(max(0, int(np.floor(box.y1 - high))), max(0, int(np.ceil(box.y2 + high))))
    columns = slice(max(0, int(np.floor(box.x1 - wide))), max(0, int(np.ceil(box.x2 + wide))))
    mask[rows, columns] = True
    return mask

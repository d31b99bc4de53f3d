"""
Cuts: the part of an original that a picture around a face shows, and where boxes of the original are in it.

A cut is a rectangle that lies wholly in the original. Its picture is turned as crops are, so that the face is upright,
and has no more pixels than the original has there.
"""

import math
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from immich_facesets.exports.crop_geometry import part_in_picture
from immich_facesets.faces import Box


class Framing(StrEnum):
    """How much of the original a picture shows. ``FACE`` is the square crop that is stored with every face."""

    FACE = "face"
    HEAD = "head"
    HALF_BODY = "half-body"
    ORIGINAL = "original"


_Sides = tuple[float, float, float, float]

_AROUND: Mapping[Framing, _Sides] = MappingProxyType(
    {
        Framing.HEAD: (1.5, 1.4, 1.5, 1.6),
        Framing.HALF_BODY: (2.1, 1.6, 2.1, 4.0),
    }
)
"""
Left, above, right and below the middle of the box, in its longer sides. A head is 1.3 boxes high: 3 boxes show it with
the shoulders. A figure has 7.5 heads and its waist at the fourth, so 5.6 boxes reach from above the hair to below it.
"""


def planned_area(framing: Framing, box: Box, turns: int, width: float, height: float) -> Box:
    """
    Return the part of an original of this size that is to be shown around the ``box`` of a face.

    ``turns``: the counter-clockwise quarter turns after which the face is upright; the body is below it then.
    """
    if framing is Framing.ORIGINAL:
        return Box(0.0, 0.0, width, height)
    left, above, right, below = _AROUND[framing]
    sides = (left, above, right, below)
    for _ in range(turns % 4):
        left, above, right, below = sides
        sides = (below, left, above, right)
    longer, x, y = max(box.width, box.height), (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2
    left, above, right, below = (side * longer for side in sides)
    return part_in_picture(Box(x - left, y - above, x + right, y + below), width, height)


def size_of(width: float, height: float, pixels: int) -> tuple[int, int]:
    """Return the size of a picture of this shape with at most as many pixels as a square of ``pixels``: never enlarged."""
    factor = min(1.0, pixels / math.sqrt(max(1.0, width * height)))
    return max(1, math.floor(width * factor + _ROUNDING)), max(1, math.floor(height * factor + _ROUNDING))


_ROUNDING = 1e-6


def upright_size(width: int, height: int, turns: int) -> tuple[int, int]:
    """Return the size of a picture after so many quarter turns."""
    return (height, width) if turns % 2 else (width, height)


def box_in_cut(box: Box, area: Box, size: tuple[int, int], turns: int) -> Box:
    """
    Return the position of an original's box in the picture of a cut.

    It shows ``area`` of the original after ``turns`` quarter turns (counter-clockwise), at this width and height.
    """
    moved = Box(box.x1 - area.x1, box.y1 - area.y1, box.x2 - area.x1, box.y2 - area.y1)
    found = moved.scaled(1 / area.width, 1 / area.height)
    for _ in range(turns % 4):
        found = Box(found.y1, 1.0 - found.x2, found.y2, 1.0 - found.x1)
    return found.scaled(*size)

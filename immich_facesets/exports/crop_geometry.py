"""The square of a picture that a crop shows around a face."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from immich_facesets.faces import Box

ABOVE, ELSEWHERE = 0.5, 0.25
"""Margin that the consumers' detectors need around a box, in box heights: above, and on the other sides."""


_Span = tuple[float, float]
_SIDES = 33  # tried from the largest to the smallest: steps of 3 % of their difference
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Square:
    """Whole pixels of the picture; it may reach outside."""

    left: int
    top: int
    side: int


def plan_square(box: Box, pad_ratio: float) -> Square:
    """
    The square of ``1 + 2 * pad_ratio`` times the box's longer side around the box.

    Centred, but moved up when that leaves less than half a box above, as long as a quarter stays below.
    """
    side = max(1, round(max(box.width, box.height) * (1 + 2 * pad_ratio)))
    slack = side - box.height
    above = max(slack / 2, min(ABOVE * box.height, slack - ELSEWHERE * box.height))
    return Square(round((box.x1 + box.x2 - side) / 2), round(box.y1 - above), side)


def shown_area(box: Box, stored: Box, *, stored_pad: float, pad_ratio: float) -> Box:
    """
    Return the square of the original that a finished picture shows of a stored crop of the square ``stored``.

    It is all of it, unless the crop was made with more padding than ``pad_ratio``: then the square that is wanted now.
    """
    if pad_ratio >= stored_pad:
        return stored
    square = plan_square(box, pad_ratio)
    side = min(float(square.side), stored.width, stored.height)
    left = min(max(float(square.left), stored.x1), stored.x2 - side)
    top = min(max(float(square.top), stored.y1), stored.y2 - side)
    return Box(left, top, left + side, top + side)


def scale_of(pixels: int, *, original: float, available: float) -> float:
    """
    Return the pixels of an exported picture's side for one pixel of its source: above 1, it is enlarged.

    ``original``: pixels of the same side in the original; ``available``: in what the picture is made of, which counts
    where it has too few.
    """
    return round(pixels / max(1.0, available if pixels > available else original), 3)


def part_in_picture(area: Box, width: float, height: float) -> Box:
    """Return the part of a square of the original that lies in the picture."""
    return Box(max(area.x1, 0.0), max(area.y1, 0.0), min(area.x2, width), min(area.y2, height))


def with_margins(box: Box) -> Box:
    """Return a face's box with the margins that detectors need around it, which hold the head."""
    return Box(
        box.x1 - ELSEWHERE * box.width,
        box.y1 - ABOVE * box.height,
        box.x2 + ELSEWHERE * box.width,
        box.y2 + ELSEWHERE * box.height,
    )


def grown(box: Box, margin: float, within: Box) -> Box:
    """Return a box with ``margin`` of its sides added in each direction, as far as it stays ``within`` another."""
    wide, high = margin * box.width, margin * box.height
    return Box(
        max(box.x1 - wide, within.x1),
        max(box.y1 - high, within.y1),
        min(box.x2 + wide, within.x2),
        min(box.y2 + high, within.y2),
    )


def largest_square(keep: Box, within: Box, avoid: Sequence[Box] = ()) -> Box | None:
    """
    Return the largest square ``within`` a box that holds all of ``keep`` and nothing of the boxes to ``avoid``.

    Its side is the largest of 33 that are tried, from all of ``within`` down to ``keep``. Of equal ones, it is the one
    whose middle is nearest to that of ``keep``. None where there is none.
    """
    most, least = min(within.width, within.height), max(keep.width, keep.height)
    for step in range(_SIDES):
        side = least + (most - least) * (_SIDES - 1 - step) / (_SIDES - 1)
        if side < least or side <= 0.0:
            return None
        squares = [
            Box(left, top, left + side, top + side)
            for left in _starts((keep.x1, keep.x2), (within.x1, within.x2), [(box.x1, box.x2) for box in avoid], side)
            for top in _starts((keep.y1, keep.y2), (within.y1, within.y2), [(box.y1, box.y2) for box in avoid], side)
        ]
        free = [square for square in squares if all(square.iou(box) < _ROUNDING for box in avoid)]
        if free:
            return min(free, key=lambda square: (_apart(square, keep), square.x1, square.y1))
    return None


def _starts(keep: _Span, within: _Span, avoid: Sequence[_Span], side: float) -> list[float]:
    """Return the starts worth trying of an interval of this length within another one, with all of ``keep`` in it."""
    low, high = max(within[0], keep[1] - side), min(within[1] - side, keep[0])
    wanted = [(keep[0] + keep[1] - side) / 2, *(end for _, end in avoid), *(start - side for start, _ in avoid)]
    return sorted({min(max(start, low), high) for start in wanted}) if low <= high + _ROUNDING else []


def _apart(one: Box, other: Box) -> float:
    return math.dist((one.x1 + one.x2, one.y1 + one.y2), (other.x1 + other.x2, other.y1 + other.y2))

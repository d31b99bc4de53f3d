"""The square of a picture that a crop shows around a face."""

from dataclasses import dataclass

from immich_facesets.faces import Box

ABOVE, ELSEWHERE = 0.5, 0.25
"""Margin that the consumers' detectors need around a box, in box heights: above, and on the other sides."""


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

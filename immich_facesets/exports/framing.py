"""
Framing: which part of a finished crop an export shows, where the whole of it shows another face or no picture.

Readers that detect faces again need a margin around the face, and get black where there is no picture. Others get a
smaller square without either.
"""

from collections.abc import Sequence

from immich_facesets.exports.crop_geometry import grown, largest_square, with_margins
from immich_facesets.exports.crops import STRANGER_MARGIN
from immich_facesets.faces import Box

LEAST_MARGIN = 0.1
"""Margin around the box, in its sides, that a picture for people and trainers keeps at least."""


def frame_for_detectors(face: Box, strangers: Sequence[Box], side: float) -> Box | None:
    """
    Return the largest square of a crop without the strangers, with the margins that detectors need; None without any.

    ``face`` and ``strangers``: boxes in the crop's pixels; ``side``: of the crop.
    """
    whole = Box(0.0, 0.0, side, side)
    keep = with_margins(face)
    if keep.x1 < 0.0 or keep.y1 < 0.0 or keep.x2 > side or keep.y2 > side:
        return None
    return largest_square(keep, whole, _spaces(strangers, whole))


def frame_for_people(face: Box, inside: Box, strangers: Sequence[Box], side: float) -> Box | None:
    """
    Return the square of a crop that lies inside the picture and, if possible, shows no stranger.

    ``inside``: the part of the crop that lies in its picture. None: the whole crop.
    """
    whole = Box(0.0, 0.0, side, side)
    if inside == whole and not strangers:
        return None
    keep = grown(face, LEAST_MARGIN, inside)
    if keep.width <= 0.0 or keep.height <= 0.0:
        return None
    return largest_square(keep, inside, _spaces(strangers, whole)) or largest_square(keep, inside)


def in_frame(box: Box, frame: Box, side: float) -> Box:
    """Return a box of a crop in the pixels of the picture that shows its square ``frame`` at the same size."""
    factor = side / frame.width
    moved = Box(box.x1 - frame.x1, box.y1 - frame.y1, box.x2 - frame.x1, box.y2 - frame.y1)
    return moved.scaled(factor, factor)


def _spaces(strangers: Sequence[Box], whole: Box) -> list[Box]:
    return [grown(stranger, STRANGER_MARGIN, whole) for stranger in strangers]

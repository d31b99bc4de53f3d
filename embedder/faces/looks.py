"""
The plan of closer looks at a picture so large that one look shows the wanted faces too small.

One look shows the whole picture in the detector's input. Closer looks show it enlarged, in overlapping tiles. Each level
finds the faces that are too small for the coarser one. The overlap holds the largest of these twice, so each of them is
whole in at least one tile.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from embedder.engine import Detection, EngineFacts
from embedder.faces.regions import DUPLICATE_IOU
from immich_facesets.faces import Box

SPARE = 1.6
"""
The size at which faces are found wherever they stand, in sizes of the smallest that is noticed: 21 pixels, where all
detectors measured find every face. Closer looks show the smallest wanted face at this size.
"""

DOUBTED = 0.8, 2.0
"""The sizes of doubtful detections that are looked at again, in sizes of the smallest wanted face."""

MOST_DOUBTS = 32
"""Doubtful detections that are looked at again, the best first."""

MOST_STEP = 8.0
"""The most by which a level is finer than the next coarser one: the overlap of its tiles grows with it."""

MOST_OVERLAP = 0.5
"""The most of a tile's side that its overlap may take. A small view has levels that lie closer together."""

EDGE = 2.0
"""A face that comes so near to the border of a tile, in pixels of the view, may be cut off there."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile: the ``area`` in pixels of the picture, the ``factor`` of enlargement, and the largest face sought, in pixels."""

    area: Box
    factor: float
    largest: float


def closer_looks(width: int, height: int, least_short: float, facts: EngineFacts) -> list[Tile]:
    """
    Return the closer looks at a picture of this size; none where one look finds faces of ``least_short`` pixels.

    The finest come first.
    """
    looks: list[Tile] = []
    whole, factor = _factors(width, height, least_short, facts)
    while factor > whole:
        most = min(MOST_STEP, MOST_OVERLAP * facts.look_side / (2 * facts.least_face))
        step = min(factor / whole, most)
        overlap = 2 * facts.least_face * step
        columns = _spans(width, factor, facts.look_side, overlap)
        rows = _spans(height, factor, facts.look_side, overlap)
        largest = overlap / factor
        looks += [Tile(Box(x1, y1, x2, y2), factor, largest) for y1, y2 in rows for x1, x2 in columns]
        factor = factor / step if step == most else whole
    return looks


def has_doubts(width: int, height: int, least_short: float, facts: EngineFacts) -> bool:
    """Return whether one look at a picture of this size may show a face of ``least_short`` pixels too small to be sure."""
    whole, factor = _factors(width, height, least_short, facts)
    return factor == whole and least_short * whole < SPARE * facts.least_face


def doubts(seen: Sequence[Detection], sure: Sequence[Detection], least_short: float, least_score: float) -> list[Box]:
    """Return the boxes of doubtful detections that may be further faces of about ``least_short`` pixels, likeliest first."""
    found = [
        one
        for one in seen
        if one.score < least_score
        and DOUBTED[0] * least_short <= one.box.face_short <= DOUBTED[1] * least_short
        and all(one.box.iou(other.box) <= DUPLICATE_IOU for other in sure)
    ]
    return [one.box for one in sorted(found, key=_likeliest_first)[:MOST_DOUBTS]]


def _likeliest_first(one: Detection) -> tuple[float, ...]:
    """The order of detections; equal scores are told apart by the box, so that a cut always keeps the same ones."""
    return -one.score, one.box.x1, one.box.y1, one.box.x2, one.box.y2


def finest_factor(width: int, height: int, least_short: float, facts: EngineFacts) -> float:
    """Return the enlargement at which the closest look shows a picture; 0.0 where there is no closer look."""
    whole, factor = _factors(width, height, least_short, facts)
    return factor if factor > whole else 0.0


def whole_in(tile: Tile, detections: Sequence[Detection], width: int, height: int) -> list[Detection]:
    """Return the faces that a tile shows whole; a coarser look finds those that are too large for it."""
    edge, area = EDGE / tile.factor, tile.area
    left, top = (-math.inf if start == 0 else start + edge for start in (area.x1, area.y1))
    right, bottom = (math.inf if end == limit else end - edge for end, limit in ((area.x2, width), (area.y2, height)))

    def is_whole(box: Box) -> bool:
        is_inside = left <= box.x1 and top <= box.y1 and box.x2 <= right and box.y2 <= bottom
        return is_inside and box.face_short <= tile.largest

    return [one for one in detections if is_whole(one.box)]


def united(coarse: Sequence[Detection], close: Sequence[Detection]) -> list[Detection]:
    """
    Return each face once. Of two finds of one face that of the closer look stays.

    Its points are more exact. Vectors of faces of 10 pixels in a view have a median cosine of 0.8 with those of the same
    faces in small photos; seen closer they have 0.97.
    """
    return [*close, *(one for one in coarse if all(one.box.iou(other.box) <= DUPLICATE_IOU for other in close))]


def _factors(width: int, height: int, least_short: float, facts: EngineFacts) -> tuple[float, float]:
    """The enlargements of the whole view and of the closest look; equal where the whole view is enough."""
    if not facts.look_side or not facts.least_face:
        return 1.0, 1.0
    whole = min(1.0, facts.look_side / max(width, height))
    if least_short * whole >= facts.least_face:
        return whole, whole
    return whole, min(1.0, SPARE * facts.least_face / least_short)


def _spans(length: int, factor: float, side: int, overlap: float) -> list[tuple[int, int]]:
    """The parts of a side of the picture, each of at most ``side`` pixels when enlarged, that overlap by as much as said."""
    shown = length * factor
    count = 1 if shown <= side else math.ceil((shown - overlap) / (side - overlap))
    if count == 1:
        return [(0, length)]
    part = min(length, math.floor((shown + (count - 1) * overlap) / count / factor))
    starts = [round(number * (length - part) / (count - 1)) for number in range(count)]
    return [(start, start + part) for start in starts]

"""
The rules of guided detection and of second passes: the needed resolution and the searched areas.

Guided detection cuts its parts out of the same view that ``full`` searches. Close views at another scale would be as
cheap, but a detector's points depend on the scale: vectors differ by a median cosine of 0.98 instead of 0.998.
"""

import dataclasses
from collections.abc import Sequence

from embedder.engine import Detection, View
from immich_facesets.exports.crop_geometry import plan_square
from immich_facesets.face_requests import CropRequest
from immich_facesets.faces import Box

MARGIN = 2.0
"""The side of the searched area, in sides of the box."""

LEAST_IOU = 0.25
"""Below this overlap a detection is not the face of the box (neighbours overlap far less)."""

DUPLICATE_IOU = 0.4
"""Above this overlap two detections are one face, as in the detector's own suppression."""

LEAST_SAVING = 0.8
"""Parts that together are larger than this share of the whole view are no cheaper than the whole."""

LEAST_FACE = 0.8
"""A face's shorter side, in sides of the aligned crop, below which its pixels are too few to be reduced further."""

QUARTER_TURNS = (1, 2, 3)
"""The quarter turns tried on a picture without a face, or without a face of a high score."""

SURE_SCORE = 0.8
"""A picture whose best face reaches this detector score is upright: manually turned portraits reached 0.77."""

TURNED_LEAD = 0.02
"""The least gain in a face's score for which a picture counts as turned."""


def search_area(box: Box) -> Box:
    """Return the square around a box that is searched."""
    half = max(box.width, box.height) * MARGIN / 2
    x, y = (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2
    return Box(x - half, y - half, x + half, y + half)


def padded_area(width: int, height: int) -> Box:
    """The picture with half its size around it: a face that fills the picture becomes one of ordinary size."""
    return Box(-width / 2, -height / 2, width * 1.5, height * 1.5)


def allowed_reduction(boxes: Sequence[Box], crop_side: int, crop: CropRequest | None) -> float:
    """Return by what factor a picture with these boxes may be reduced without harm to vectors and crops."""
    limits = [box.face_short / (LEAST_FACE * crop_side) for box in boxes]
    if crop is not None:
        wanted = [box for box in boxes if box.face_short >= crop.min_short]
        limits += [plan_square(box, crop.pad_ratio).side / crop.side for box in wanted]
    return min(limits, default=1.0)


def saves(parts: Sequence[View], view: View) -> bool:
    """Return whether searching the parts is clearly less work than searching the whole view."""
    return sum(part.pixels.size for part in parts) <= LEAST_SAVING * view.pixels.size


def pick(box: Box, detections: Sequence[Detection]) -> Detection | None:
    """The detection that overlaps the box best, if it overlaps enough to be the same face."""
    best = max(detections, key=lambda detection: detection.box.iou(box), default=None)
    return best if best is not None and best.box.iou(box) >= LEAST_IOU else None


def best_score(detections: Sequence[Detection]) -> float:
    return max((detection.score for detection in detections), default=0.0)


def distinct(detections: Sequence[Detection]) -> list[Detection]:
    """Return each face once, best score first: several boxes or views may have found the same one."""
    kept: list[Detection] = []
    for detection in sorted(detections, key=lambda item: -item.score):
        if all(detection.box.iou(other.box) <= DUPLICATE_IOU for other in kept):
            kept.append(detection)
    return kept


def likelier(found: list[Detection], upright: Sequence[Detection], turned: list[Detection]) -> list[Detection]:
    """
    Return the faces of a turned picture when they beat the upright ones and those of other turns, else ``found``.

    The detector also finds upside-down faces, with unusable points but a lower score. So the turn with the best score is
    the right one.
    """
    least = max(best_score(upright) + TURNED_LEAD, best_score(found))
    return turned if best_score(turned) > least else found


def all_turned_back(found: Sequence[Detection], turns: int, shape: tuple[int, ...]) -> list[Detection]:
    """Map the faces found after ``turns`` counter-clockwise quarter turns back to a picture of this shape."""
    return [turned_back(one, turns, shape[1], shape[0]) for one in found]


def turned_back(detection: Detection, turns: int, width: int, height: int) -> Detection:
    """Map a face found after ``turns`` counter-clockwise quarter turns back to the picture, whose size is given."""
    box = detection.box
    corners = [_turned_back(x, y, turns, width, height) for x, y in ((box.x1, box.y1), (box.x2, box.y2))]
    (left, right), (top, bottom) = sorted(x for x, _ in corners), sorted(y for _, y in corners)
    a, b, c, d, e = (_turned_back(x, y, turns, width, height) for x, y in detection.landmarks)
    return dataclasses.replace(detection, box=Box(left, top, right, bottom), landmarks=(a, b, c, d, e))


def _turned_back(x: float, y: float, turns: int, width: int, height: int) -> tuple[float, float]:
    match turns:
        case 1:
            return width - 1 - y, x
        case 2:
            return width - 1 - x, height - 1 - y
        case 3:
            return y, height - 1 - x
        case _:
            return x, y

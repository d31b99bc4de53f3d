"""Looking only where faces are known to be: the rules of guided detection and of the second look at close-ups."""

from collections.abc import Sequence

from embedder.engine import Detection
from immich_facesets.faces import Box

MARGIN = 2.0
"""The side of the area looked at, in sides of the box."""

LEAST_IOU = 0.25
"""Below this overlap a detection is another face than the box speaks of (neighbours overlap far less)."""

SAME_FACE_IOU = 0.4
"""Above this overlap two detections are one face, as in the detector's own suppression."""

MOST_LOOKS = 8
"""More boxes than this are cheaper to find in one look at the whole picture: a close look costs a ninth of it."""


def look_area(box: Box) -> Box:
    """The square around a box that the detector is shown."""
    half = max(box.width, box.height) * MARGIN / 2
    x, y = (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2
    return Box(x - half, y - half, x + half, y + half)


def padded_area(width: int, height: int) -> Box:
    """The picture with half its size around it: a face that fills the picture becomes one of ordinary size."""
    return Box(-width / 2, -height / 2, width * 1.5, height * 1.5)


def pick(box: Box, detections: Sequence[Detection]) -> Detection | None:
    """The detection that overlaps the box best, if it overlaps enough to be the same face."""
    best = max(detections, key=lambda detection: detection.box.iou(box), default=None)
    return best if best is not None and best.box.iou(box) >= LEAST_IOU else None


def distinct(detections: Sequence[Detection]) -> list[Detection]:
    """Each face once, best score first: several boxes, or several looks, may have found the same one."""
    kept: list[Detection] = []
    for detection in sorted(detections, key=lambda item: -item.score):
        if all(detection.box.iou(other.box) <= SAME_FACE_IOU for other in kept):
            kept.append(detection)
    return kept

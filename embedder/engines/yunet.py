"""
YuNet: from a view to its input, and from its outputs to boxes and points (Wu, Peng and Yu, 2023).

The constants are those of its publisher, the OpenCV Zoo: strides 8, 16 and 32, one prior per cell, raw BGR pixels, and
suppression at 0.3. A test keeps the results equal to those of OpenCV's own ``FaceDetectorYN``.
"""

import cv2
import numpy as np
import onnxruntime

from embedder.engine import Detection, Pixels, View
from embedder.engines import views
from embedder.engines.detector import Floats, cells, in_picture, run, suppress
from immich_facesets.faces import Box

STRIDES = (8, 16, 32)
SUPPRESSION = 0.3
MOST_FACES = 5000
"""Boxes that are compared with one another: the default of OpenCV's ``FaceDetectorYN``."""

THRESHOLD = 0.7
"""Its scores are higher than SCRFD's."""

CLOSE_SIDE = 320
"""Pixels of a close view's longer side: a face that fills it is then within YuNet's training sizes."""

LEAST_FACE = 13.0
"""
Pixels of a view that the shorter side of a face needs to be noticed in it, be it doubtfully.

YuNet finds 95 % of faces of 14 pixels, and 48 % of those of 10 (``tests/bench/bench_looks.py``).
"""


class YuNet:
    """
    The detector.

    ``fixed_side``: the side of its input where the model fixes it, otherwise None; ``same_shapes``: whether all views
    should have one shape, because the device compiles the model for each.
    """

    def __init__(
        self, session: onnxruntime.InferenceSession, side: int, fixed_side: int | None, *, same_shapes: bool
    ) -> None:
        self._session = session
        self._fixed_side = fixed_side
        self._same_shapes = same_shapes or fixed_side is not None
        self._sides = (fixed_side or side, fixed_side or min(CLOSE_SIDE, side))
        self._order = [output.name for output in session.get_outputs()]

    @property
    def look_side(self) -> int:
        return self._sides[0]

    @property
    def least_face(self) -> float:
        return LEAST_FACE

    @property
    def threshold(self) -> float:
        return THRESHOLD

    def view(self, pixels: Pixels, area: Box | None, *, closely: bool) -> View:
        side = self._sides[1] if closely else self._sides[0]
        if area is None:
            return views.fitted_view(pixels, side, is_square=self._same_shapes)
        return views.area_view(pixels, area, side)

    def closer_view(self, pixels: Pixels, area: Box, factor: float) -> View:
        return views.closer_view(pixels, area, factor, self._sides[0] if self._same_shapes else None)

    def part(self, view: View, box: Box) -> View | None:
        return None if self._fixed_side is not None else views.part_view(view, box)

    def find(self, view: View, least: float) -> list[Detection]:
        shown = view if self._fixed_side is None else views.squared(view, self._fixed_side)
        outputs = run(self._session, tensor(shown.pixels))
        return read_outputs(dict(zip(self._order, outputs, strict=True)), shown, least)


def read_outputs(outputs: dict[str, Floats], view: View, threshold: float) -> list[Detection]:
    """Return the faces in the model's outputs, such as ``cls_8``, best first. A score is the geometric mean of two."""
    height, width = view.pixels.shape[:2]
    scores, boxes, points = [], [], []
    for stride in STRIDES:
        of_class, of_object = (outputs[f"{kind}_{stride}"].reshape(-1).clip(0, 1) for kind in ("cls", "obj"))
        level_scores = np.sqrt(of_class * of_object)
        hits = np.flatnonzero(level_scores >= threshold)
        corners = cells(height, width, stride)[hits]
        sizes = outputs[f"bbox_{stride}"].reshape(-1, 4)[hits]
        centres, halves = corners + sizes[:, :2] * stride, np.exp(sizes[:, 2:]) * np.float32(stride / 2)
        scores.append(level_scores[hits])
        boxes.append(np.hstack([centres - halves, centres + halves]))
        points.append(corners[:, None, :] + outputs[f"kps_{stride}"].reshape(-1, 5, 2)[hits] * stride)
    all_scores, all_boxes, all_points = np.concatenate(scores), np.vstack(boxes), np.vstack(points)
    likely = np.argsort(-all_scores, kind="stable")[:MOST_FACES]
    kept = likely[suppress(all_boxes[likely], all_scores[likely], SUPPRESSION)]
    return in_picture(all_boxes[kept], all_points[kept], all_scores[kept], view)


def tensor(pixels: Pixels) -> Floats:
    """RGB pixels as (1, 3, height, width) in the order BGR, from 0 to 255."""
    blob = cv2.dnn.blobFromImage(pixels, 1.0, pixels.shape[1::-1], swapRB=True)
    return np.ascontiguousarray(blob, dtype=np.float32)

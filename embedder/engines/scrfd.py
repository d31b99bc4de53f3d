"""
SCRFD: from a view to its input, and from its outputs to boxes and points (Guo et al., 2021).

The constants are those published with its models: strides, two anchors per cell, (x - 127.5) / 128. Suppression is at
0.4, with boxes counted as inclusive. A test keeps the results equal to insightface's.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import onnxruntime

from embedder.engine import Detection, Pixels, View
from embedder.engines import views
from embedder.engines.detector import Floats, cells, in_picture, run, suppress
from immich_facesets.faces import Box

MEAN, SCALE = 127.5, 1 / 128.0
SUPPRESSION = 0.4
THRESHOLD = 0.5
"""insightface's own."""

CLOSE_SIDE = 192
"""Side of the input, in pixels, for a view that one face mostly fills."""

LEAST_FACE = 13.0
"""
Pixels of a view that the shorter side of a face needs to be noticed in it, be it doubtfully.

At 14 pixels SCRFD-500M finds 95 % of faces that stand alone before a busy ground, SCRFD-2.5G all; at 10 pixels 34 % and
66 % (``tests/bench/bench_looks.py``). Larger models of the family are not measured.
"""


class Scrfd:
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
        self._same_shapes = same_shapes
        self._sides = (fixed_side or side, fixed_side or min(CLOSE_SIDE, side))

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
        return views.whole_view(pixels, side) if area is None else views.area_view(pixels, area, side)

    def closer_view(self, pixels: Pixels, area: Box, factor: float) -> View:
        is_free = self._fixed_side is None and not self._same_shapes
        return views.closer_view(pixels, area, factor, None if is_free else self._sides[0])

    def part(self, view: View, box: Box) -> View | None:
        return None if self._fixed_side is not None else views.part_view(view, box)

    def find(self, view: View, least: float) -> list[Detection]:
        return read_outputs(run(self._session, tensor(view.pixels)), view, least)


def read_outputs(outputs: Sequence[Floats], view: View, threshold: float) -> list[Detection]:
    """Return the faces in the model's outputs (scores, boxes and points, each per stride), best first."""
    levels = len(outputs) // 3
    strides = (8, 16, 32, 64, 128)[:levels]
    anchors = 2 if levels == 3 else 1
    height, width = view.pixels.shape[:2]
    scores, boxes, points = [], [], []
    for level, stride in enumerate(strides):
        level_scores = outputs[level].reshape(-1)
        hits = np.flatnonzero(level_scores >= threshold)
        centres = cells(height, width, stride, anchors)[hits]
        distances = outputs[level + levels].reshape(-1, 4)[hits] * stride
        shifts = outputs[level + 2 * levels].reshape(-1, 5, 2)[hits] * stride
        scores.append(level_scores[hits])
        boxes.append(np.hstack([centres - distances[:, :2], centres + distances[:, 2:]]))
        points.append(centres[:, None, :] + shifts)
    all_scores, all_boxes, all_points = np.concatenate(scores), np.vstack(boxes), np.vstack(points)
    kept = suppress(all_boxes, all_scores, SUPPRESSION, extra=view.x_factor)
    return in_picture(all_boxes[kept], all_points[kept], all_scores[kept], view)


def tensor(pixels: Pixels) -> Floats:
    """RGB pixels as (1, 3, height, width) around zero."""
    blob = cv2.dnn.blobFromImage(pixels, SCALE, pixels.shape[1::-1], (MEAN, MEAN, MEAN))
    return np.ascontiguousarray(blob, dtype=np.float32)

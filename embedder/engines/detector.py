"""The interface of the detection models, and what their results have in common."""

import functools
from typing import Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from embedder.engine import Detection, Pixels, View
from immich_facesets.faces import Box

Floats = NDArray[np.float32]


class Detector(Protocol):
    """A detection model with its session. Views are made in any thread, ``find`` is called by one lane each."""

    @property
    def look_side(self) -> int:
        """Pixels of the longer side of a whole view."""

    @property
    def least_face(self) -> float:
        """Pixels of a view that the shorter side of a face needs to be noticed in it, be it doubtfully."""

    @property
    def threshold(self) -> float:
        """The score of a detected face."""

    def view(self, pixels: Pixels, area: Box | None, *, closely: bool) -> View:
        """As ``FaceEngine.view``."""

    def closer_view(self, pixels: Pixels, area: Box, factor: float) -> View:
        """As ``FaceEngine.closer_view``."""

    def part(self, view: View, box: Box) -> View | None:
        """As ``FaceEngine.part``."""

    def find(self, view: View, least: float) -> list[Detection]:
        """The faces of a view whose score is ``least`` or more, best first, in the picture's pixels."""


def suppress(boxes: Floats, scores: Floats, most_overlap: float, *, extra: float = 0.0) -> list[int]:
    """
    Indices of the boxes that stay, best score first: none overlaps a better one by more than ``most_overlap`` (IoU).

    ``boxes``: (n, 4). ``extra`` is added to their widths and heights: SCRFD counts a box's last pixel as part of it.
    """
    order = np.argsort(-scores, kind="stable")
    low, high = boxes[:, :2], boxes[:, 2:] + extra
    areas = np.prod(high - low, axis=1)
    kept: list[int] = []
    while order.size:
        best, rest = int(order[0]), order[1:]
        kept.append(best)
        shared = np.clip(np.minimum(high[best], high[rest]) - np.maximum(low[best], low[rest]), 0, None).prod(axis=1)
        order = rest[shared <= most_overlap * (areas[best] + areas[rest] - shared)]
    return kept


def in_picture(boxes: Floats, points: Floats, scores: Floats, view: View) -> list[Detection]:
    """Return detections, moved from a view's pixels, (n, 4) and (n, 5, 2), to those of its picture."""
    origin = np.array([view.left - view.margin_x / view.x_factor, view.top - view.margin_y / view.y_factor])
    factors = np.array([view.x_factor, view.y_factor])
    found_boxes = boxes.reshape(-1, 2, 2).astype(np.float64) / factors + origin
    found_points = points.astype(np.float64) / factors + origin
    return [
        _detection(box, five, float(score)) for box, five, score in zip(found_boxes, found_points, scores, strict=True)
    ]


def run(session: onnxruntime.InferenceSession, tensor: Floats) -> list[Floats]:
    """Return the outputs of a model with one input."""
    outputs: list[Floats] = session.run(None, {session.get_inputs()[0].name: tensor})
    return outputs


@functools.lru_cache(maxsize=256)
def cells(height: int, width: int, stride: int, anchors: int = 1) -> Floats:
    """Return the corners (x, y) of a view's cells row by row, each ``anchors`` times, (n, 2), in its pixels."""
    rows, columns = np.mgrid[: height // stride, : width // stride]
    corners = np.stack([columns, rows], axis=-1).reshape(-1, 2).astype(np.float32) * stride
    corners = np.repeat(corners, anchors, axis=0)
    corners.setflags(write=False)
    return corners


def _detection(box: NDArray[np.float64], points: NDArray[np.float64], score: float) -> Detection:
    (x1, y1), (x2, y2) = box.tolist()
    left_eye, right_eye, nose, left_mouth, right_mouth = ((x, y) for x, y in points.tolist())
    return Detection(Box(x1, y1, x2, y2), (left_eye, right_eye, nose, left_mouth, right_mouth), score)

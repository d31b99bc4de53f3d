"""YuNet, the face detector of the OpenCV Zoo, run by OpenCV on the CPU."""

import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from embedder.engine import Detection, Pixels, View
from immich_facesets.faces import Box

LEAST_FACE = 13.0
"""
Pixels of a view that the shorter side of a face needs to be noticed in it, be it doubtfully.

YuNet finds 95 % of faces of 14 pixels, and 48 % of those of 10 (``tests/bench/bench_looks.py``).
"""

SUPPRESSION = 0.3
MOST_FACES = 5000
"""Of OpenCV's own defaults: the overlap above which two boxes are one face, and the boxes kept before that."""


class YuNet:
    """The detector. OpenCV's objects remember the size of the last picture, so each thread has its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._own = threading.local()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # each new net warns of its only target

    def detect(self, shown: Pixels, view: View, least_score: float) -> list[Detection]:
        """Return the faces, best first, whose score is ``least_score`` or more. ``shown``: the view as BGR pixels."""
        if not hasattr(self._own, "detector"):
            self._own.detector = cv2.FaceDetectorYN.create(
                str(self._path), "", (64, 64), least_score, SUPPRESSION, MOST_FACES
            )
        detector: Any = self._own.detector
        height, width = shown.shape[:2]
        detector.setScoreThreshold(least_score)
        detector.setInputSize((width, height))
        _, rows = detector.detect(shown)
        found = [] if rows is None else [_detection(row, view) for row in np.asarray(rows, dtype=np.float64)]
        return sorted(found, key=lambda face: -face.score)


def _detection(row: NDArray[np.float64], view: View) -> Detection:
    """
    One of YuNet's rows: x, y, width and height of the box, five points and the score. The points come in ArcFace's
    order (the eye on the picture's left first).
    """
    factors, margin = np.array([view.x_factor, view.y_factor]), np.array([view.margin_x, view.margin_y])
    corners = np.array([row[:2], row[:2] + row[2:4]])
    (x1, y1), (x2, y2), a, b, c, d, e = (
        (float(x), float(y))
        for x, y in (np.vstack([corners, row[4:14].reshape(5, 2)]) - margin) / factors + [view.left, view.top]
    )
    return Detection(Box(x1, y1, x2, y2), (a, b, c, d, e), float(row[14]))

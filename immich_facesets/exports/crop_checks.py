"""
The check of a finished crop: which faces a program that reads the faceset will find in it.

roop-unleashed takes every face that its detector finds in a PNG. A crop is therefore exported only under one condition
(docs/exports.md): our own detector finds exactly one face in it, in the middle, and that face is the person's.
"""

import math

import numpy as np
from numpy.typing import NDArray

from immich_facesets.faces import Box
from immich_facesets.facesets.faceset import Verdict
from immich_facesets.wire import FaceAnswer, FacesAnswer


def verdict(answer: FacesAnswer, expected: Box, centroid: NDArray[np.float32], outlier: float) -> Verdict:
    """
    Return the verdict on a finished crop.

    ``answer``: the embedder's response to the finished crop itself; ``expected``: the expected box of the face, in its
    pixels (``box_in_crop``); ``centroid``: (d,), unit length; ``outlier``: a cosine distance. A second face is checked
    last, because it is the only problem that painting over can correct.
    """
    face = main_face(answer, expected)
    if face is None:
        return Verdict.NONE
    distance = 1.0 - float(face.vector().astype(np.float64) @ centroid.astype(np.float64))
    if not distance <= outlier:
        return Verdict.FAR
    return Verdict.OK if len(answer.faces) == 1 else Verdict.SECOND


def main_face(answer: FacesAnswer, expected: Box) -> FaceAnswer | None:
    """Return the found face nearest to the expected box; None when none of them touches it."""
    touching = [face for face in answer.faces if face.face_box().iou(expected) > 0.0]
    return min(touching, key=lambda face: (_apart(face.face_box(), expected), face.box), default=None)


def strangers(answer: FacesAnswer, expected: Box) -> tuple[Box, ...]:
    """Return the boxes of all faces but the main one: the areas to paint over."""
    main = main_face(answer, expected)
    return tuple(face.face_box() for face in answer.faces if face is not main)


def _apart(one: Box, other: Box) -> float:
    """Return the distance of two boxes' centres in pixels."""
    return math.dist((one.x1 + one.x2, one.y1 + one.y2), (other.x1 + other.x2, other.y1 + other.y2)) / 2

"""The check of embedder answers: faces, boxes, points and vectors against the true ones."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from immich_facesets import wire
from immich_facesets.faces import Box

LEAST_IOU = 0.9
MOST_SHIFT = 0.02
"""Largest distance of a point from the true one, in short sides of the face; at least a pixel is allowed."""

LENGTH_ERROR = 1e-3


@dataclass(frozen=True, eq=False)
class Faces:
    """``boxes`` (n, 4) and ``points`` (n, 5, 2) in upright original pixels; ``vectors`` (n, d)."""

    boxes: NDArray[np.float64]
    points: NDArray[np.float64]
    vectors: NDArray[np.float64]


def answered(answer: wire.FacesAnswer) -> Faces:
    """The embedder's answer."""
    return Faces(
        np.array([face.box for face in answer.faces], np.float64).reshape(-1, 4),
        np.array([face.landmarks for face in answer.faces], np.float64).reshape(-1, 5, 2),
        np.array([face.vector() for face in answer.faces], np.float64),
    )


def complaint(found: Faces, truth: Faces, *, least_cosine: float) -> str | None:
    """
    Return how these faces differ from the true ones, None when they are right.

    Right means the same number of faces, each in its place with its points and a finite unit vector in the true
    direction.
    """
    if len(found.boxes) != len(truth.boxes):
        return f"{len(found.boxes)} faces instead of {len(truth.boxes)}"
    for number, box in enumerate(truth.boxes):
        ious = [Box(*other.tolist()).iou(Box(*box.tolist())) for other in found.boxes]
        best = int(np.argmax(ious))
        if ious[best] < LEAST_IOU:
            return f"IoU {ious[best]:.3f} with a true face"
        shift = float(np.abs(found.points[best] - truth.points[number]).max())
        if shift > max(1.0, MOST_SHIFT * Box(*box.tolist()).face_short):
            return f"a point {shift:.1f} pixels off"
        if trouble := direction_trouble(found.vectors[best], truth.vectors[number], least_cosine):
            return trouble
    return None


def direction_trouble(vector: NDArray[np.float64], true_vector: NDArray[np.float64], least_cosine: float) -> str | None:
    """Return how a vector differs from a unit vector in the true direction, None when it is right."""
    if not np.isfinite(vector).all():
        return "a vector that is not finite"
    length = float(np.linalg.norm(vector))
    if abs(length - 1.0) > LENGTH_ERROR:
        return f"a vector of length {length:.3f}"
    cosine = float(vector @ true_vector)
    return f"cosine {cosine:.4f} with the true vector" if cosine < least_cosine else None

"""
Visibility: how much of a face and of its crop lies in the picture; what lies outside has no pixels of its own.

A picture that is itself a tight crop gives crops with more invented area than face. A face cut by the picture's edge is
half invented where it is aligned.
"""

from dataclasses import dataclass

import numpy as np

from immich_facesets.face_template import TEMPLATE, TEMPLATE_SIDE
from immich_facesets.faces import Box, Face

_EYES, _MOUTH = float(TEMPLATE[:2, 1].mean()), float(TEMPLATE[3:, 1].mean())
"""How far both lie below the upper edge of the template."""

_SIDE = TEMPLATE_SIDE / (_MOUTH - _EYES)
"""The side of the aligned face, in distances from the eyes to the mouth."""

_DOWN = (TEMPLATE_SIDE / 2 - _EYES) / (_MOUTH - _EYES)
"""How far its middle lies below the eyes, in the same distances."""

_GRID = (np.arange(16) + 0.5) / 16 - 0.5


@dataclass(frozen=True, slots=True)
class Visible:
    """The shares of a face, as it is aligned, and of its crop that lie in the picture, each in [0, 1]."""

    face: float = 1.0
    crop: float = 1.0


def visible(face: Face, shown: Box, width: int, height: int) -> Visible:
    """Return how much of a face and of the square ``shown`` lies in its picture, rounded to four digits."""
    columns = max(0.0, min(shown.x2, width) - max(shown.x1, 0.0))
    rows = max(0.0, min(shown.y2, height) - max(shown.y1, 0.0))
    of_crop = columns * rows / shown.area if shown.area > 0.0 else 0.0
    return Visible(_of_face(face, width, height), round(min(1.0, of_crop), 4))


def _of_face(face: Face, width: int, height: int) -> float:
    left_eye, right_eye, _, left_mouth, right_mouth = np.array(face.landmarks, dtype=np.float64)
    eyes, mouth = (left_eye + right_eye) / 2, (left_mouth + right_mouth) / 2
    down = mouth - eyes
    across = np.array([down[1], -down[0]])
    middle = eyes + _DOWN * down
    points = middle + _SIDE * (_GRID[:, None, None] * down + _GRID[None, :, None] * across)
    is_inside = ((points >= 0.0) & (points <= (width, height))).all(axis=-1)
    return round(float(is_inside.mean()), 4)

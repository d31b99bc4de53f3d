"""
The proportions of a drawn head, shared by drawing and detection.

Lengths are in head widths from the centre of the face box, x to the right and y down. A turning head moves its features
along a cylinder. Each feature has its own radius, so that the nose moves farther than the eyes.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from immich_facesets.faces import Box, Point

HALF_WIDTH = 0.5
HALF_HEIGHT = 0.6

EYE_X = 0.2
EYE_Y = 0.06
EYE_RADIUS = 0.55
IRIS = 0.098
SCLERA = (0.165, 0.135)

NOSE_Y = 0.215
NOSE_RADIUS = 0.9
MOUTH_Y = 0.375
MOUTH_RADIUS = 0.6

BAND_TOP = -0.50
BAND_BOTTOM = -0.235
BAND_RADIUS = 0.56
BAND_BOW = 0.16
COLUMNS = (-0.36, -0.25, -0.14, 0.14, 0.25, 0.36)
ROWS = (-0.43, -0.305)
CELL = (0.047, 0.052)

MAX_YAW = 30.0
MAX_ROLL = 45.0


def turned(x: float, radius: float, yaw: float) -> float:
    """
    Return the x of a feature at ``x`` of the frontal head after a turn by ``yaw`` degrees (to the right of the
    picture).

    Half of the angle is used: drawn heads do not hide their far side.
    """
    return radius * math.sin(math.asin(x / radius) + math.radians(yaw) / 2)


def eye_middle(yaw: float) -> float:
    """Return the x of the point between the eyes."""
    return (turned(EYE_X, EYE_RADIUS, yaw) + turned(-EYE_X, EYE_RADIUS, yaw)) / 2


def eye_distance(yaw: float) -> float:
    return turned(EYE_X, EYE_RADIUS, yaw) - turned(-EYE_X, EYE_RADIUS, yaw)


def cell_centres(yaw: float) -> NDArray[np.float64]:
    """Return the centres of the band's cells in reading order, (12, 2)."""
    places = [(turned(x, BAND_RADIUS, yaw), y) for y in ROWS for x in COLUMNS]
    return np.array([(x, y + bow(x)) for x, y in places])


def bow(x: float) -> float:
    """Return how much lower the band is at ``x`` than in its middle, because it runs around a head."""
    return BAND_BOW * x * x


@dataclass(frozen=True, slots=True)
class Frame:
    """The location of a head in a picture: centre of its box, width in pixels and roll (degrees, clockwise)."""

    x: float
    y: float
    width: float
    roll: float

    def place(self, point: Point) -> Point:
        """Return a point of the head as a point of the picture."""
        cos, sin = math.cos(math.radians(self.roll)), math.sin(math.radians(self.roll))
        return (
            self.x + self.width * (point[0] * cos - point[1] * sin),
            self.y + self.width * (point[0] * sin + point[1] * cos),
        )

    def box(self) -> Box:
        """Return the face box: around the rolled ellipse of the head."""
        half_width, half_height = (side * self.width for side in half_sides(self.roll))
        return Box(self.x - half_width, self.y - half_height, self.x + half_width, self.y + half_height)


def half_sides(roll: float) -> tuple[float, float]:
    """Return half width and half height of the box around a rolled head, in head widths."""
    cos, sin = math.cos(math.radians(roll)), math.sin(math.radians(roll))
    return math.hypot(HALF_WIDTH * cos, HALF_HEIGHT * sin), math.hypot(HALF_WIDTH * sin, HALF_HEIGHT * cos)

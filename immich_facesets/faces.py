"""Boxes and faces: the location and size of a face, and the gates a single face must pass."""

import math
from dataclasses import dataclass
from typing import Self

Point = tuple[float, float]
Landmarks = tuple[Point, Point, Point, Point, Point]
"""Left eye, right eye, nose, left and right mouth corner (as seen in the picture), in upright original pixels."""

SAME_FACE_IOU = 0.5
"""The least IoU of two boxes of one face: two detectors differ, but never by more than this."""

LIT = 40.0
"""The mean grey of a face that is light enough; those of clean labelled portraits are 70 and more, of 255."""

CONTRASTY = 20.0
"""The standard deviation of grey of a face that is not flat; those of clean labelled portraits are 34 and more."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels, ``x1 <= x2`` and ``y1 <= y2``; it may lie partly outside its picture."""

    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def width(self) -> float:
        return self.x2 - self.x1

    @property
    def height(self) -> float:
        return self.y2 - self.y1

    @property
    def face_short(self) -> float:
        """Return the short edge in pixels: the size that every gate uses."""
        return min(self.width, self.height)

    @property
    def area(self) -> float:
        return max(0.0, self.width) * max(0.0, self.height)

    def scaled(self, x_factor: float, y_factor: float) -> Self:
        """Return the box in a picture whose sides are ``x_factor`` and ``y_factor`` times as long."""
        return type(self)(self.x1 * x_factor, self.y1 * y_factor, self.x2 * x_factor, self.y2 * y_factor)

    def iou(self, other: Self) -> float:
        """Return intersection over union, 0 for boxes without area."""
        width = min(self.x2, other.x2) - max(self.x1, other.x1)
        height = min(self.y2, other.y2) - max(self.y1, other.y1)
        if width <= 0 or height <= 0:
            return 0.0
        shared = width * height
        return shared / (self.area + other.area - shared)


@dataclass(frozen=True, slots=True)
class Measures:
    """
    The embedder's measurements of one face.

    ``blur`` is the variance of the Laplacian on the aligned grey crop, without that of noise (higher is sharper).
    ``blur_size`` is the number of original pixels along the side of that crop; below 112 it was magnified, and is
    smooth for that reason alone. ``brightness`` and ``contrast`` are the mean and standard deviation of the grey crop
    in [0, 255]. ``yaw``, ``pitch``, ``roll`` are degrees, 0 is frontal and upright. ``quality`` in [0, 1] is the score of
    a face quality model (higher is better), None where the embedder has none.
    """

    blur: float
    blur_size: int
    brightness: float
    contrast: float
    yaw: float
    pitch: float
    roll: float
    quality: float | None = None

    @property
    def light(self) -> float:
        return light_of(self.brightness, self.contrast)


def light_of(brightness: float, contrast: float) -> float:
    """
    Return 1 for a face that is light enough and not flat, falling to 0 for a black or a plain one.

    A measure that is not a number counts as the worst value.
    """
    parts = brightness / LIT, contrast / CONTRASTY
    return math.prod(min(1.0, max(0.0, part)) if math.isfinite(part) else 0.0 for part in parts)


@dataclass(frozen=True, slots=True)
class Face:
    """
    One detected face on one content. ``face_id`` is the store's row; ``sha256`` and ``box`` stay valid when rows
    change.
    """

    face_id: int
    sha256: str
    box: Box
    landmarks: Landmarks
    det_score: float
    measures: Measures

    @property
    def face_short(self) -> float:
        return self.box.face_short


@dataclass(frozen=True, slots=True)
class Gate:
    """The least values a face must have to count. Defaults are those of a new identity (docs/grouping.md)."""

    face_short: float = 90.0
    blur: float = 40.0
    det_score: float = 0.6
    light: float = 0.2

    def admits(self, face: Face) -> bool:
        return self.passes(face.face_short, face.det_score, face.measures.blur, face.measures.light)

    def passes(self, face_short: float, det_score: float, blur: float, light: float) -> bool:
        """Return whether a face with these values counts; ``face_short`` in pixels of the original."""
        return (
            face_short >= self.face_short and blur >= self.blur and light >= self.light and det_score >= self.det_score
        )

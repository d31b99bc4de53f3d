"""Boxes and faces: where a face is, how big it is, and the gates a single face must pass."""

from dataclasses import dataclass
from typing import Self

Point = tuple[float, float]
Landmarks = tuple[Point, Point, Point, Point, Point]
"""Left eye, right eye, nose, left and right mouth corner (as seen in the picture), in upright original pixels."""


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
        """The short edge in pixels: the size every gate speaks of."""
        return min(self.width, self.height)

    @property
    def area(self) -> float:
        return max(0.0, self.width) * max(0.0, self.height)

    def scaled(self, x_factor: float, y_factor: float) -> Self:
        """The box in a picture whose sides are ``x_factor`` and ``y_factor`` times as long."""
        return type(self)(self.x1 * x_factor, self.y1 * y_factor, self.x2 * x_factor, self.y2 * y_factor)

    def iou(self, other: Self) -> float:
        """Intersection over union, 0 for boxes without area."""
        width = min(self.x2, other.x2) - max(self.x1, other.x1)
        height = min(self.y2, other.y2) - max(self.y1, other.y1)
        if width <= 0 or height <= 0:
            return 0.0
        shared = width * height
        return shared / (self.area + other.area - shared)


@dataclass(frozen=True, slots=True)
class Measures:
    """
    What the embedder measured on one face.

    ``blur`` is the variance of the Laplacian on the aligned grey crop (higher is sharper); ``blur_size`` is how many
    original pixels the side of that crop stands for (below 112 it was magnified, hence smooth for that reason alone); ``brightness`` and ``contrast`` are the mean and standard deviation of the grey crop in [0, 255];
    ``yaw``, ``pitch``, ``roll`` are degrees, 0 is frontal and upright. ``quality`` in [0, 1] is what a model of face
    quality says (higher is better), None where the embedder has none.
    """

    blur: float
    blur_size: int
    brightness: float
    contrast: float
    yaw: float
    pitch: float
    roll: float
    quality: float | None = None


@dataclass(frozen=True, slots=True)
class Face:
    """One detected face on one content. ``face_id`` is the store's row; ``sha256`` and ``box`` outlive every row."""

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
    """The least a face must have to count. Defaults are those of a new identity (PRODUCT 3.3)."""

    face_short: float = 90.0
    blur: float = 40.0
    det_score: float = 0.6

    def admits(self, face: Face) -> bool:
        return (
            face.face_short >= self.face_short and face.measures.blur >= self.blur and face.det_score >= self.det_score
        )

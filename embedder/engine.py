"""The interface of face engines, with the values that they take and return."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from immich_facesets import wire
from immich_facesets.faces import Box, Landmarks
from immich_facesets.spaces import EmbeddingSpace, OperatingPoints

Pixels = NDArray[np.uint8]
"""(height, width, 3) RGB, contiguous."""


DOUBTFUL_SCORE = 0.2
"""
The score from which on a detection is worth a closer look.

All but 2 % of the faces near the least size reach it. One photo in five has such a detection that is no face.
"""


MARGIN_SCORE = 0.3
"""
The score from which on a detection may be a face for another detector.

SCRFD-500M then suspects most of what SCRFD-2.5G finds, and a further face in 6 % of crops (``bench_crop_checks``).
"""


@dataclass(frozen=True, slots=True)
class Detection:
    """A face as the detector found it, in upright original pixels."""

    box: Box
    landmarks: Landmarks
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """
    The detector's look at a picture or a part of it, and the mapping back to the picture.

    A point (u, v) of the view lies at ((u - margin_x) / x_factor + left, (v - margin_y) / y_factor + top).
    """

    pixels: Pixels
    x_factor: float = 1.0
    y_factor: float = 1.0
    margin_x: int = 0
    margin_y: int = 0
    left: int = 0
    top: int = 0
    doubtful: bool = False
    """Whether detections from ``DOUBTFUL_SCORE`` on are wanted, too."""
    further: bool = False
    """Whether what further detectors find is wanted, too."""


@dataclass(frozen=True, slots=True, eq=False)
class Aligned:
    """
    A face moved onto the recogniser's template: ``crop`` (side, side, 3) RGB.

    ``span`` is the number of original pixels that the side of the crop covers.
    """

    crop: Pixels
    span: float
    detection: Detection


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """The facts about an engine that ``GET /v1/info`` reports."""

    kind: Literal["onnx", "synthetic"]
    space: EmbeddingSpace
    family: str
    dimension: int
    pack: str
    licence: str
    models: tuple[wire.ModelInfo, ...]
    provider: str
    distances: OperatingPoints | None = None
    """Operating points stated in the notes beside a user's own model."""
    view_side: int = 0
    """Pixels of the longer side above which one look at the whole picture gains nothing; 0: every pixel counts."""
    look_side: int = 0
    """Pixels of the longer side of a whole view; 0: a view has all pixels of its picture."""
    least_score: float = 0.5
    """The score of a detected face."""
    least_face: float = 0.0
    """Pixels of a view that the shorter side of a face must have to be noticed in it (``bench_looks``)."""
    crop_side: int = 112
    """Pixels of an aligned face."""


class FaceEngine(Protocol):
    """
    Finds and recognises faces. ``view`` and ``align`` may be called from any thread; ``detect`` and ``recognise`` are
    called by one lane each.
    """

    @property
    def facts(self) -> EngineFacts: ...

    def view(self, pixels: Pixels, area: Box | None = None, *, closely: bool = False) -> View:
        """
        Return the detector's input for the whole picture, or for ``area`` of it (which may reach outside).

        ``closely`` means that a face fills much of the area, so that a coarser resolution is enough.
        """

    def closer_view(self, pixels: Pixels, area: Box, factor: float) -> View:
        """Return the detector's input for ``area``, inside the picture and in whole pixels, with its sides times ``factor``."""

    def part(self, view: View, box: Box) -> View | None:
        """Cut the surroundings of a box out of a whole view, unscaled; None where only whole views are possible."""

    def detect(self, views: Sequence[View]) -> list[list[Detection]]:
        """The faces in each view, best first."""

    def align(self, pixels: Pixels, detection: Detection) -> Aligned:
        """The face on the template; ``ItemError`` when its points make no sense."""

    def recognise(self, faces: Sequence[Aligned]) -> NDArray[np.float32]:
        """
        Return vectors, (n, d); the row of a face whose embedding is degenerate is NaN.

        Directions are compared. The length is that of a single ONNX model without mirroring, else 1.
        """

    def probe(self) -> Detection:
        """A face that can be aligned and recognised on any picture: for health checks."""

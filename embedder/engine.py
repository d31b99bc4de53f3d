"""What looks at pictures: the one seam with two real implementations, ONNX models and drawn faces."""

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


@dataclass(frozen=True, slots=True)
class Detection:
    """A face as the detector saw it, in upright original pixels."""

    box: Box
    landmarks: Landmarks
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """
    What the detector is shown of a picture, ready for it, and the way back to the picture.

    A point (u, v) of the view lies at ((u - margin_x) / x_factor + left, (v - margin_y) / y_factor + top).
    """

    tensor: NDArray[np.float32] | Pixels
    x_factor: float = 1.0
    y_factor: float = 1.0
    margin_x: int = 0
    margin_y: int = 0
    left: int = 0
    top: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Aligned:
    """
    A face moved onto the recogniser's template: ``crop`` (side, side, 3) RGB.

    ``span`` is how many original pixels the side of the crop stands for.
    """

    crop: Pixels
    span: float
    detection: Detection


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What ``GET /v1/info`` says about an engine."""

    kind: Literal["onnx", "opencv", "synthetic"]
    space: EmbeddingSpace
    family: str
    dimension: int
    pack: str
    licence: str
    models: tuple[wire.ModelInfo, ...]
    provider: str
    distances: OperatingPoints | None = None
    """Operating points stated beside a model of one's own."""
    view_side: int = 0
    """A picture whose longer side has this many pixels is seen as well as any larger one; 0: every pixel counts."""
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
        Show the detector the whole picture, or ``area`` of it (which may reach outside).

        ``closely`` says that a face fills much of the area, so that a coarser look is enough.
        """

    def part(self, view: View, box: Box) -> View | None:
        """What a view of the whole picture shows around a box, as it shows it; None where only the whole can be shown."""

    def detect(self, views: Sequence[View]) -> list[list[Detection]]:
        """The faces in each view, best first."""

    def align(self, pixels: Pixels, detection: Detection) -> Aligned:
        """The face on the template; ``ItemError`` when its points make no sense."""

    def recognise(self, faces: Sequence[Aligned]) -> NDArray[np.float32]:
        """Unit vectors, (n, d); a face that gives no direction has a row of NaN."""

    def probe(self) -> Detection:
        """A face that can be aligned and recognised on any picture: for health checks."""

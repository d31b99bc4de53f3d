"""The engine for drawn faces: the engine interface without models, for demonstrations and tests."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from embedder.engine import Aligned, Detection, EngineFacts, Pixels, View
from embedder.images import alignment
from immich_facesets.face_template import TEMPLATE
from immich_facesets.faces import Box
from immich_facesets.spaces import EmbeddingSpace, SpaceRecogniser
from immich_facesets.synthetic import find_faces

DIMENSION = 512
CROP_SIDE = 112


@dataclass(frozen=True, slots=True)
class DrawnDetection(Detection):
    """A drawn face, whose embedding is read at detection; ``vector`` keeps it for recognition."""

    vector: NDArray[np.float32] = field(compare=False, repr=False)


class SyntheticEngine:
    """Finds the faces that ``immich_facesets.synthetic`` draws, and nothing else."""

    def __init__(self) -> None:
        self._facts = EngineFacts(
            kind="synthetic",
            space=EmbeddingSpace(
                detector="drawn-1",
                recognisers=(SpaceRecogniser("drawn-1", 127.5, 127.5),),
                alignment=alignment.ALIGNMENT,
                flip=False,
            ),
            family="synthetic",
            dimension=DIMENSION,
            pack="synthetic",
            licence="none needed: it knows drawn faces only",
            models=(),
            provider="cpu",
        )

    @property
    def facts(self) -> EngineFacts:
        return self._facts

    def view(self, pixels: Pixels, area: Box | None = None, *, closely: bool = False) -> View:  # noqa: ARG002  drawn faces are found at any size
        if area is None:
            return View(pixels)
        height, width = pixels.shape[:2]
        left, top = max(0, int(area.x1)), max(0, int(area.y1))
        part = pixels[top : min(height, int(area.y2) + 1), left : min(width, int(area.x2) + 1)]
        return View(part, left=left, top=top)

    def closer_view(self, pixels: Pixels, area: Box, factor: float) -> View:  # noqa: ARG002  as above
        return self.view(pixels, area)

    def part(self, view: View, box: Box) -> View | None:  # noqa: ARG002  a whole view costs next to nothing
        return None

    def detect(self, views: Sequence[View]) -> list[list[Detection]]:
        return [_found(view) for view in views]

    def align(self, pixels: Pixels, detection: Detection) -> Aligned:
        return alignment.align(pixels, detection, CROP_SIDE)

    def recognise(self, faces: Sequence[Aligned]) -> NDArray[np.float32]:
        rows = [face.detection.vector for face in faces if isinstance(face.detection, DrawnDetection)]
        return np.vstack(rows).astype(np.float32)

    def probe(self) -> Detection:
        left_eye, right_eye, nose, left_mouth, right_mouth = ((x, y) for x, y in TEMPLATE.tolist())
        vector = np.full(DIMENSION, DIMENSION**-0.5, dtype=np.float32)
        points = (left_eye, right_eye, nose, left_mouth, right_mouth)
        return DrawnDetection(Box(20, 20, 92, 110), points, 1.0, vector)


def _found(view: View) -> list[Detection]:
    pixels = np.ascontiguousarray(view.pixels)
    if pixels.size == 0:
        return []
    faces = sorted(find_faces(pixels), key=lambda face: -face.det_score)
    found: list[Detection] = []
    for face in faces:
        box = Box(face.box.x1 + view.left, face.box.y1 + view.top, face.box.x2 + view.left, face.box.y2 + view.top)
        a, b, c, d, e = ((x + view.left, y + view.top) for x, y in face.landmarks)
        found.append(DrawnDetection(box, (a, b, c, d, e), face.det_score, face.embedding))
    return found

"""
The engine with OpenCV's models: YuNet detects faces and SFace recognises them.

It is for users who may not use InsightFace's weights. Both models come from the OpenCV Zoo under permissive licences
(MIT and Apache-2.0), and run in OpenCV itself, on the CPU. SFace's 112-pixel template is ArcFace's, so faces are
aligned as for the other engine; it takes raw RGB values.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from embedder.engine import DOUBTFUL_SCORE, Aligned, Detection, EngineFacts, Pixels, View
from embedder.engines.recogniser import OnDegenerate, ignore_degenerate, unit_rows
from embedder.engines.yunet import LEAST_FACE, YuNet
from embedder.images import alignment
from embedder.images.colour import cv2_array
from embedder.models.pack import ModelPack
from immich_facesets.errors import SetupError
from immich_facesets.faces import Box

CROP_SIDE = 112
CLOSE_SIDE = 320
"""Pixels of a close view's longer side: a face that fills it is then within YuNet's training sizes."""


@dataclass(frozen=True, slots=True)
class OpenCvTuning:
    """How the models are run; ``threads`` are OpenCV's for one call, in the whole process, 0 for all cores."""

    threads: int = 0
    detector_side: int = 640
    detector_threshold: float = 0.5
    flip: bool = False


class OpenCvEngine:
    """
    YuNet and SFace. OpenCV's recogniser remembers its last picture, so each thread has its own.

    ``on_degenerate`` is called with the name of a recognition model and its number of degenerate embeddings.
    """

    def __init__(
        self, pack: ModelPack, tuning: OpenCvTuning, *, on_degenerate: OnDegenerate = ignore_degenerate
    ) -> None:
        self._pack = pack
        self._tuning = tuning
        self._on_degenerate = on_degenerate
        self._own = threading.local()
        self._detector = YuNet(pack.detector.path)
        if tuning.threads:
            cv2.setNumThreads(tuning.threads)
        noise = np.random.default_rng(0).integers(0, 256, (CROP_SIDE, CROP_SIDE, 3), dtype=np.uint8)
        dimension = self._check(noise)
        self._facts = EngineFacts(
            kind="opencv",
            space=pack.space(alignment.ALIGNMENT, flip=tuning.flip),
            family=pack.family,
            dimension=dimension,
            pack=pack.name,
            licence=pack.licence,
            models=(pack.detector.info(), pack.recogniser.info()),
            provider="cpu",
            distances=pack.distances,
            look_side=tuning.detector_side,
            least_score=tuning.detector_threshold,
            least_face=LEAST_FACE,
        )

    @property
    def facts(self) -> EngineFacts:
        return self._facts

    def view(self, pixels: Pixels, area: Box | None = None, *, closely: bool = False) -> View:
        side = min(CLOSE_SIDE, self._tuning.detector_side) if closely else self._tuning.detector_side
        return whole_view(pixels, side) if area is None else area_view(pixels, area, side)

    def closer_view(self, pixels: Pixels, area: Box, factor: float) -> View:
        return closer_view(pixels, area, factor)

    def part(self, view: View, box: Box) -> View | None:  # noqa: ARG002  a whole view costs YuNet as much as the cutting
        return None

    def detect(self, views: Sequence[View]) -> list[list[Detection]]:
        return [self._detect(view) for view in views]

    def align(self, pixels: Pixels, detection: Detection) -> Aligned:
        return alignment.align(pixels, detection, CROP_SIDE)

    def recognise(self, faces: Sequence[Aligned]) -> NDArray[np.float32]:
        vectors = np.vstack([self._vector(face.crop) for face in faces])
        if self._tuning.flip:
            vectors += np.vstack([self._vector(np.ascontiguousarray(face.crop[:, ::-1])) for face in faces])
        units = unit_rows(vectors)
        lost = int(np.isnan(units[:, 0]).sum())
        if lost:
            self._on_degenerate(self._pack.recogniser.name, lost)
        return units

    def probe(self) -> Detection:
        eyes_to_mouth = ((38.3, 51.7), (73.5, 51.5), (56.0, 71.7), (41.5, 92.4), (70.7, 92.2))
        return Detection(Box(20, 20, 92, 110), eyes_to_mouth, 1.0)

    def _detect(self, view: View) -> list[Detection]:
        threshold = self._tuning.detector_threshold
        least = min(threshold, DOUBTFUL_SCORE) if view.doubtful else threshold
        return self._detector.detect(cast("Pixels", view.tensor), view, least)

    def _vector(self, crop: Pixels) -> NDArray[np.float32]:
        """Return SFace's vector for one crop, (1, d); the model takes no batch."""
        given = self._recogniser().feature(cv2.cvtColor(crop, cv2.COLOR_RGB2BGR))
        return np.array(given, dtype=np.float32).reshape(1, -1)

    def _recogniser(self) -> Any:
        if not hasattr(self._own, "recogniser"):
            self._own.recogniser = cv2.FaceRecognizerSF.create(str(self._pack.recogniser.path), "")
        return self._own.recogniser

    def _check(self, noise: Pixels) -> int:
        """The length of a vector, after a first run of both models."""
        known = self._pack.recognisers[0]
        if (known.mean, known.std, known.side, known.note.colours) != (0.0, 1.0, CROP_SIDE, "rgb"):
            raise SetupError(
                f"OpenCV feeds {known.file.path} raw RGB pixels of {CROP_SIDE} x {CROP_SIDE}, as SFace wants them; "
                "for another recogniser set FACESETS_EMBEDDER_ENGINE=onnx"
            )
        try:
            self._detect(self.view(noise))
            dimension = int(self._vector(noise).shape[1])
        except cv2.error as error:
            raise SetupError(f"OpenCV {cv2.__version__} cannot run the models of {self._pack.name}: {error}") from error
        if dimension != known.family.dimension:
            raise SetupError(
                f"{known.file.path} gives vectors of {dimension} numbers, but {known.family.name} has "
                f"{known.family.dimension}: this is not that model"
            )
        return dimension


def whole_view(pixels: Pixels, side: int) -> View:
    """The picture with its longer side reduced to ``side`` pixels; a smaller one stays as it is."""
    height, width = pixels.shape[:2]
    factor = min(1.0, side / max(height, width))
    shown = _resized(pixels, max(1, round(width * factor)), max(1, round(height * factor)))
    return View(_bgr(shown), shown.shape[1] / width, shown.shape[0] / height)


def area_view(pixels: Pixels, area: Box, side: int) -> View:
    """``area`` with its longer side as ``side`` pixels; what lies outside the picture is black."""
    height, width = pixels.shape[:2]
    factor = side / max(2.0, area.width, area.height)
    x1, y1 = max(0, int(area.x1)), max(0, int(area.y1))
    x2, y2 = min(width, int(np.ceil(area.x2))), min(height, int(np.ceil(area.y2)))
    if x1 >= x2 or y1 >= y2:
        return View(np.zeros((side, side, 3), dtype=np.uint8))
    shown = _resized(pixels[y1:y2, x1:x2], max(1, round((x2 - x1) * factor)), max(1, round((y2 - y1) * factor)))
    factors = shown.shape[1] / (x2 - x1), shown.shape[0] / (y2 - y1)
    left, top = max(0, round((x1 - area.x1) * factor)), max(0, round((y1 - area.y1) * factor))
    right, bottom = max(0, round((area.x2 - x2) * factor)), max(0, round((area.y2 - y2) * factor))
    framed = cv2_array(cv2.copyMakeBorder(_bgr(shown), top, bottom, left, right, cv2.BORDER_CONSTANT))
    return View(framed, *factors, left, top, x1, y1)


def closer_view(pixels: Pixels, area: Box, factor: float) -> View:
    """A part of the picture, in whole pixels, with its sides times ``factor``."""
    x1, y1, x2, y2 = (round(value) for value in (area.x1, area.y1, area.x2, area.y2))
    width, height = (max(1, round(length * factor)) for length in (x2 - x1, y2 - y1))
    shown = _resized(pixels[y1:y2, x1:x2], width, height)
    return View(_bgr(shown), width / (x2 - x1), height / (y2 - y1), left=x1, top=y1)


def _resized(pixels: Pixels, width: int, height: int) -> Pixels:
    if pixels.shape[:2] == (height, width):
        return pixels
    way = cv2.INTER_AREA if width < pixels.shape[1] else cv2.INTER_LINEAR
    return cv2_array(cv2.resize(pixels, (width, height), interpolation=way))


def _bgr(pixels: Pixels) -> Pixels:
    return cv2_array(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))

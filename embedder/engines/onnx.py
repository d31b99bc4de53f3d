"""The engine for real pictures: a detector (SCRFD or YuNet) and a recogniser through ONNX Runtime."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from embedder.engine import DOUBTFUL_SCORE, Aligned, Detection, EngineFacts, Pixels, View
from embedder.engines.detector import Detector
from embedder.engines.recogniser import OnDegenerate, Recogniser, Recognition, ignore_degenerate
from embedder.engines.scrfd import Scrfd
from embedder.engines.yunet import YuNet
from embedder.images import alignment
from embedder.models.pack import ModelFile, ModelPack
from embedder.models.sessions import Device, Precision, Provider, open_session
from immich_facesets.errors import SetupError
from immich_facesets.faces import Box

SHARPER = 1.5
"""Detection gains nothing from a picture more than this many times larger than the detector's input."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """How the models are run. ``threads`` are ONNX Runtime's per session, 0 for all cores."""

    provider: Provider = Provider.CPU
    device: str = ""
    threads: int = 0
    detector_side: int = 640
    detector_threshold: float | None = None
    """The least score of a face; None for the detector's own."""
    flip: bool = False
    precision: Precision = Precision.FP32
    cache_dir: Path | None = None


class OnnxEngine:
    """
    The sessions of a pack and the numbers that belong to its models.

    ``further``: detectors that are asked besides the pack's own where a view wants it. ``on_degenerate`` is called with the name of a recognition model and its number of degenerate embeddings.
    """

    def __init__(
        self,
        pack: ModelPack,
        tuning: Tuning,
        further: Sequence[ModelFile] = (),
        *,
        on_degenerate: OnDegenerate = ignore_degenerate,
    ) -> None:
        self._detector = _open_detector(pack.detector, tuning)
        self._further = [_open_detector(file, tuning) for file in further]
        self._threshold = tuning.detector_threshold or self._detector.threshold
        self._crop_side = pack.recognisers[0].side
        recognisers = [Recogniser(known, _open(known.file, tuning)) for known in pack.recognisers]
        self._recognition = Recognition(recognisers, flip=tuning.flip, on_degenerate=on_degenerate)
        self.detect([replace(self.view(np.zeros((64, 64, 3), dtype=np.uint8), closely=True), further=True)])
        models = (
            pack.detector.info(),
            *(file.info() for file in further),
            *(known.file.info() for known in pack.recognisers),
        )
        self._facts = EngineFacts(
            kind="onnx",
            space=pack.space(alignment.ALIGNMENT, flip=tuning.flip),
            family=pack.family,
            dimension=self._recognition.dimension,
            pack=pack.name,
            licence=pack.licence,
            models=models,
            provider=tuning.provider,
            distances=pack.distances,
            view_side=round(self._detector.look_side * SHARPER),
            crop_side=self._crop_side,
            look_side=self._detector.look_side,
            least_score=self._threshold,
            least_face=self._detector.least_face,
        )

    @property
    def facts(self) -> EngineFacts:
        return self._facts

    def view(self, pixels: Pixels, area: Box | None = None, *, closely: bool = False) -> View:
        return self._detector.view(pixels, area, closely=closely)

    def closer_view(self, pixels: Pixels, area: Box, factor: float) -> View:
        return self._detector.closer_view(pixels, area, factor)

    def part(self, view: View, box: Box) -> View | None:
        return self._detector.part(view, box)

    def detect(self, views: Sequence[View]) -> list[list[Detection]]:
        return [self._detect(view) for view in views]

    def _detect(self, view: View) -> list[Detection]:
        least = min(self._threshold, DOUBTFUL_SCORE) if view.doubtful else self._threshold
        found = self._detector.find(view, least)
        for detector in self._further if view.further else ():
            found += detector.find(view, detector.threshold)
        return found

    def align(self, pixels: Pixels, detection: Detection) -> Aligned:
        return alignment.align(pixels, detection, self._crop_side)

    def recognise(self, faces: Sequence[Aligned]) -> NDArray[np.float32]:
        return self._recognition.vectors([face.crop for face in faces])

    def probe(self) -> Detection:
        eyes_to_mouth = ((38.3, 51.7), (73.5, 51.5), (56.0, 71.7), (41.5, 92.4), (70.7, 92.2))
        return Detection(Box(20, 20, 92, 110), eyes_to_mouth, 1.0)


def _open(file: ModelFile, tuning: Tuning) -> onnxruntime.InferenceSession:
    place = Device(tuning.provider, tuning.device, tuning.threads, tuning.precision, tuning.cache_dir)
    return open_session(file.path, place)


def _open_detector(file: ModelFile, tuning: Tuning) -> Detector:
    height, width = next(iter(file.header.inputs.values()))[2:]
    if height != width:
        raise SetupError(f"{file.path} wants pictures of {width} x {height}: only square inputs are supported")
    kind = YuNet if file.task == "yunet" else Scrfd
    same_shapes = tuning.provider is not Provider.CPU  # others compile for each new shape
    return kind(_open(file, tuning), tuning.detector_side, height, same_shapes=same_shapes)

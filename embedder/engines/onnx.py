"""The engine for real pictures: SCRFD and an ArcFace-like recogniser through ONNX Runtime."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from embedder.engine import DOUBTFUL_SCORE, Aligned, Detection, EngineFacts, Pixels, View
from embedder.engines import scrfd
from embedder.engines.recogniser import OnDegenerate, Recogniser, Recognition, ignore_degenerate
from embedder.engines.yunet import YuNet
from embedder.images import alignment
from embedder.models.pack import ModelFile, ModelPack
from embedder.models.sessions import Device, Precision, Provider, open_session
from immich_facesets.errors import SetupError
from immich_facesets.faces import Box

CLOSE_SIDE = 192
"""Side of the detector's input, in pixels, for a view that one face mostly fills."""


SHARPER = 1.5
"""Detection gains nothing from a picture more than this many times larger than the detector's input."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """How the models are run. ``threads`` are ONNX Runtime's per session, 0 for all cores."""

    provider: Provider = Provider.CPU
    device: str = ""
    threads: int = 0
    detector_side: int = 640
    detector_threshold: float = 0.5
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
        self._tuning = tuning
        self._detector = _open(pack.detector, tuning)
        self._further = [YuNet(file.path) if file.task == "yunet" else _open(file, tuning) for file in further]
        self._crop_side = pack.recognisers[0].side
        self._sides = _detector_sides(pack, tuning)
        self._is_fixed = None not in next(iter(pack.detector.header.inputs.values()))[2:]
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
            view_side=round(self._sides[0] * SHARPER),
            crop_side=self._crop_side,
            look_side=self._sides[0],
            least_score=tuning.detector_threshold,
            least_face=scrfd.LEAST_FACE,
        )

    @property
    def facts(self) -> EngineFacts:
        return self._facts

    def view(self, pixels: Pixels, area: Box | None = None, *, closely: bool = False) -> View:
        side = self._sides[1] if closely else self._sides[0]
        return scrfd.whole_view(pixels, side) if area is None else scrfd.area_view(pixels, area, side)

    def closer_view(self, pixels: Pixels, area: Box, factor: float) -> View:
        is_free = not self._is_fixed and self._tuning.provider is Provider.CPU  # others compile for each new shape
        return scrfd.closer_view(pixels, area, factor, None if is_free else self._sides[0])

    def part(self, view: View, box: Box) -> View | None:
        return None if self._is_fixed else scrfd.part_view(view, box)

    def detect(self, views: Sequence[View]) -> list[list[Detection]]:
        return [self._detect(view) for view in views]

    def _detect(self, view: View) -> list[Detection]:
        threshold = self._tuning.detector_threshold
        least = min(threshold, DOUBTFUL_SCORE) if view.doubtful else threshold
        found = scrfd.read_outputs(_run(self._detector, view.tensor), view, least)
        for detector in self._further if view.further else ():
            match detector:
                case YuNet():
                    found += detector.detect(scrfd.shown(view), view, threshold)
                case _:
                    found += scrfd.read_outputs(_run(detector, view.tensor), view, threshold)
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


def _detector_sides(pack: ModelPack, tuning: Tuning) -> tuple[int, int]:
    """Return the detector's input sides for a whole picture and a close view; a fixed input size is used for both."""
    height, width = next(iter(pack.detector.header.inputs.values()))[2:]
    if height is None or width is None:
        return tuning.detector_side, min(CLOSE_SIDE, tuning.detector_side)
    if height != width:
        raise SetupError(f"{pack.detector.path} wants pictures of {width} x {height}: only square inputs are supported")
    return height, height


def _run(session: onnxruntime.InferenceSession, tensor: NDArray[np.float32] | Pixels) -> list[NDArray[np.float32]]:
    outputs: list[NDArray[np.float32]] = session.run(None, {session.get_inputs()[0].name: tensor})
    return outputs

"""The engine for real pictures: SCRFD and an ArcFace-like recogniser through ONNX Runtime."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from embedder import alignment, scrfd
from embedder.colour import Pixels
from embedder.engine import Aligned, Detection, EngineFacts, View
from embedder.model_files import ModelPack
from embedder.sessions import RUN_ERRORS, Provider, open_session
from immich_facesets.errors import SetupError
from immich_facesets.faces import Box
from immich_facesets.spaces import EmbeddingSpace

CLOSE_SIDE = 192
"""The detector's input for a look at one face that fills much of what is shown."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """How the models are run. ``threads`` are ONNX Runtime's per session, 0 for all cores."""

    provider: Provider = Provider.CPU
    device: str = ""
    threads: int = 0
    detector_side: int = 640
    detector_threshold: float = 0.5
    flip: bool = False


class OnnxEngine:
    """Two sessions and the numbers that belong to their models."""

    def __init__(self, pack: ModelPack, tuning: Tuning) -> None:
        self._tuning = tuning
        self._pack = pack
        self._detector = open_session(pack.detector.path, tuning.provider, device=tuning.device, threads=tuning.threads)
        self._recogniser = open_session(
            pack.recogniser.path, tuning.provider, device=tuning.device, threads=tuning.threads
        )
        shape = next(iter(pack.recogniser.header.inputs.values()))
        self._crop_side = shape[2] or 112
        self._sides = _detector_sides(pack, tuning)
        self._one_by_one = shape[0] == 1
        dimension = self._check_recogniser()
        detector, recogniser = pack.detector.info(), pack.recogniser.info()
        self._facts = EngineFacts(
            kind="onnx",
            space=EmbeddingSpace(
                detector=detector.sha256,
                recogniser=recogniser.sha256,
                alignment=alignment.ALIGNMENT,
                mean=pack.mean,
                std=pack.std,
                flip=tuning.flip,
            ),
            family=pack.family.name,
            dimension=dimension,
            pack=pack.name,
            licence=pack.licence,
            models=(detector, recogniser),
            provider=tuning.provider,
        )

    @property
    def facts(self) -> EngineFacts:
        return self._facts

    def view(self, pixels: Pixels, area: Box | None = None, *, closely: bool = False) -> View:
        side = self._sides[1] if closely else self._sides[0]
        return scrfd.whole_view(pixels, side) if area is None else scrfd.area_view(pixels, area, side)

    def detect(self, views: Sequence[View]) -> list[list[Detection]]:
        threshold = self._tuning.detector_threshold
        return [scrfd.read_outputs(_run(self._detector, view.tensor), view, threshold) for view in views]

    def align(self, pixels: Pixels, detection: Detection) -> Aligned:
        return alignment.align(pixels, detection, self._crop_side)

    def recognise(self, faces: Sequence[Aligned]) -> NDArray[np.float32]:
        crops = [face.crop for face in faces]
        vectors = self._raw_vectors(crops)
        if self._tuning.flip:
            vectors = vectors + self._raw_vectors([np.ascontiguousarray(crop[:, ::-1]) for crop in crops])
        lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
        good = np.isfinite(lengths) & (lengths > 1e-6)
        return np.where(good, vectors / np.where(good, lengths, 1.0), np.nan).astype(np.float32)

    def probe(self) -> Detection:
        eyes_to_mouth = ((38.3, 51.7), (73.5, 51.5), (56.0, 71.7), (41.5, 92.4), (70.7, 92.2))
        return Detection(Box(20, 20, 92, 110), eyes_to_mouth, 1.0)

    def _raw_vectors(self, crops: list[Pixels]) -> NDArray[np.float32]:
        if self._one_by_one and len(crops) > 1:
            return np.vstack([self._raw_vectors([crop]) for crop in crops])
        pack, size = self._pack, (self._crop_side, self._crop_side)
        blob = cv2.dnn.blobFromImages(crops, 1.0 / pack.std, size, (pack.mean, pack.mean, pack.mean))
        (vectors,) = _run(self._recogniser, np.asarray(blob, dtype=np.float32))
        return vectors.reshape(len(crops), -1)

    def _check_recogniser(self) -> int:
        """
        The length of a vector, after a first run of the models.

        A graph that states an open batch but gives something else for two crops than for one is fed one by one.
        """
        noise = np.random.default_rng(0).integers(0, 256, (2, self._crop_side, self._crop_side, 3), dtype=np.uint8)
        one = self._raw_vectors([noise[0]])
        if not self._one_by_one:
            try:
                both = self._raw_vectors(list(noise))
                self._one_by_one = both.shape != (2, one.shape[1]) or not np.allclose(both[0], one[0], atol=0.05)
            except (ValueError, *RUN_ERRORS):
                self._one_by_one = True
        if one.shape[1] != self._pack.family.dimension:
            raise SetupError(
                f"{self._pack.recogniser.path} gives vectors of {one.shape[1]} numbers, "
                f"but {self._pack.family.name} has {self._pack.family.dimension}: this is not that model"
            )
        self.detect([self.view(noise[0], closely=True)])
        return int(one.shape[1])


def _detector_sides(pack: ModelPack, tuning: Tuning) -> tuple[int, int]:
    """The detector's input for a whole picture and for a close look; both are the model's own where it is fixed."""
    height, width = next(iter(pack.detector.header.inputs.values()))[2:]
    if height is None or width is None:
        return tuning.detector_side, min(CLOSE_SIDE, tuning.detector_side)
    if height != width:
        raise SetupError(f"{pack.detector.path} wants pictures of {width} x {height}: only square inputs are supported")
    return height, height


def _run(session: onnxruntime.InferenceSession, tensor: NDArray[np.float32] | Pixels) -> list[NDArray[np.float32]]:
    outputs: list[NDArray[np.float32]] = session.run(None, {session.get_inputs()[0].name: tensor})
    return outputs

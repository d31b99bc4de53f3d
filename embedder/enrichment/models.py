"""The further models: the input format of each, and the meaning of its outputs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from embedder.engine import Pixels
from embedder.enrichment.model_discovery import side_of
from embedder.models.pack import ModelFile
from embedder.models.sessions import RUN_ERRORS, Device, open_session
from immich_facesets import wire
from immich_facesets.errors import SetupError
from immich_facesets.quality.pose import Pose, pose_of

Numbers = NDArray[np.float32]

QUALITY_SIDE = 112
POSE_SIDE = 64
LANDMARK_SIDE = 192

_HALVES = ((0, 1, 2, 3, 4, 5, 6, 7), (16, 15, 14, 13, 12, 11, 10, 9))
_PAIRED = (17, 18, 19, 20, 21, 36, 37, 38, 39, 40, 41, 31, 32, 48, 49, 50, 58, 59, 60, 61, 67)
_PARTNERS = (26, 25, 24, 23, 22, 45, 44, 43, 42, 47, 46, 35, 34, 54, 53, 52, 56, 55, 64, 63, 65)
LEFT, RIGHT = (*_HALVES[0], *_PAIRED), (*_HALVES[1], *_PARTNERS)
"""Points of the 68 of iBUG on the picture's left half of a face, and their partners on its right."""

BROWS, CHIN = slice(17, 27), slice(7, 10)


@dataclass(frozen=True, slots=True)
class Feeding:
    """The input format of a model: ``(x - mean) / std``, in this order of colours, ``side`` x ``side`` of them."""

    side: int
    mean: float
    std: float
    is_bgr: bool = False


class FaceModel:
    """
    One further model and its session.

    A graph that takes no batch, or states one and fails at it, is fed one by one.
    """

    def __init__(self, file: ModelFile, feeding: Feeding, device: Device) -> None:
        self.name = file.name
        self.feeding = feeding
        self._session = open_session(file.path, device)
        self._input = self._session.get_inputs()[0].name
        self._one_by_one = next(iter(file.header.inputs.values()))[0] == 1
        self.length = self._check(file)

    def rows(self, crops: Sequence[Pixels]) -> Numbers:
        """Return the model's outputs for RGB crops of its side, (n, length)."""
        if self._one_by_one and len(crops) > 1:
            return np.vstack([self.rows([crop]) for crop in crops])
        feeding, size = self.feeding, (self.feeding.side, self.feeding.side)
        mean = (feeding.mean, feeding.mean, feeding.mean)
        blob = cv2.dnn.blobFromImages(list(crops), 1.0 / feeding.std, size, mean, swapRB=feeding.is_bgr)
        output = self._session.run(None, {self._input: blob})[0]
        return np.asarray(output, dtype=np.float32).reshape(len(crops), -1)

    def _check(self, file: ModelFile) -> int:
        """How many numbers it gives for a crop, after a first run."""
        side = self.feeding.side
        noise = np.random.default_rng(0).integers(0, 256, (2, side, side, 3), dtype=np.uint8)
        try:
            one = self.rows([noise[0]])
        except RUN_ERRORS as error:
            raise SetupError(
                f"{file.path} fails on a crop of {side} pixels: is it the model that its description says?"
            ) from error
        if not self._one_by_one:
            try:
                self._one_by_one = self.rows(list(noise)).shape != (2, one.shape[1])
            except (ValueError, *RUN_ERRORS):
                self._one_by_one = True
        return int(one.shape[1])


class QualityModel:
    """
    eDifFIQA(T): one number for an aligned face, higher is better (Babnik, Peer and Struc, *eDifFIQA*, 2024).

    Its publisher, the OpenCV Zoo, feeds it RGB of 112 x 112 on ArcFace's template, scaled to [-1, 1].
    """

    def __init__(self, file: ModelFile, device: Device) -> None:
        side = side_of(file, QUALITY_SIDE)
        self._model = FaceModel(file, Feeding(side, 127.5, 127.5), device)
        if side != QUALITY_SIDE or self._model.length != 1:
            raise SetupError(
                f"{file.path} is not eDifFIQA: it takes {side} pixels and gives {self._model.length} numbers"
            )

    def scores(self, crops: Sequence[Pixels]) -> list[float | None]:
        """In [0, 1]; None for a crop without a usable output."""
        return [
            min(1.0, max(0.0, score)) if math.isfinite(score) else None
            for score in self._model.rows(crops)[:, 0].tolist()
        ]


class LandmarkModel:
    """
    A landmark model in insightface's way: points in [-1, 1] of the crop.

    Its input format is read from its graph by insightface's rule: raw pixels when the graph normalises them, otherwise
    ``(x - 127.5) / 128``.
    """

    def __init__(self, file: ModelFile, device: Device) -> None:
        first = file.header.first_nodes[:3]
        is_raw = file.header.normalises_input or "bn_data" in first
        side = side_of(file, LANDMARK_SIDE)
        self._model = FaceModel(file, Feeding(side, 0.0 if is_raw else 127.5, 1.0 if is_raw else 128.0), device)
        self.side = side

    def points(self, crops: Sequence[Pixels], count: int) -> Numbers:
        """The last ``count`` points of each crop, (n, count, 2 or 3), in its pixels; depth towards the viewer."""
        rows = self._model.rows(crops)
        points = rows.reshape(len(crops), -1, 3 if rows.shape[1] >= 3000 else 2)[:, -count:].copy()
        points[..., :2] += 1.0
        return points * np.float32(self.side // 2)


class PoseModel:
    """
    FSA-Net (Yang et al., 2019) as omasaht/headpose-fsanet-pytorch exported it: BGR, ``(x - 127.5) / 128``, yaw, pitch
    and roll in degrees, yaw positive to the *left* of the picture.
    """

    def __init__(self, file: ModelFile, device: Device) -> None:
        side = side_of(file, POSE_SIDE)
        self._model = FaceModel(file, Feeding(side, 127.5, 128.0, is_bgr=True), device)
        self.side = side
        if self._model.length != 3:
            raise SetupError(
                f"{file.path} is not FSA-Net: it gives {self._model.length} numbers instead of three angles"
            )

    def angles(self, crops: Sequence[Pixels]) -> Numbers:
        """Yaw, pitch and roll in our signs, (n, 3)."""
        return self._model.rows(crops) * np.array([-1.0, 1.0, 1.0], dtype=np.float32)


def pose_of_points(points: NDArray[np.float64]) -> Pose:
    """
    How a head is turned whose 68 points (68, 3) are known with their depth towards the viewer.

    Its axes are taken from the points themselves: across from the left to the right of each pair, down from the brows
    to the chin. No mean face is needed; at rest this line is within two degrees of upright.
    """
    away = points * np.array([1.0, 1.0, -1.0])
    across = (away[list(RIGHT)] - away[list(LEFT)]).sum(axis=0)
    down = away[CHIN].mean(axis=0) - away[BROWS].mean(axis=0)
    length = float(np.linalg.norm(across))
    if not length > 0:
        return Pose(0.0, 0.0, 0.0)
    across /= length
    down -= across * float(down @ across)
    length = float(np.linalg.norm(down))
    if not length > 0:
        return Pose(0.0, 0.0, 0.0)
    down /= length
    first, second = np.array([across, down, np.cross(across, down)]).T[:2]
    return pose_of(first, second)


def as_head_pose(pose: Pose) -> wire.HeadPose:
    return wire.HeadPose(yaw=pose.yaw, pitch=pose.pitch, roll=pose.roll)

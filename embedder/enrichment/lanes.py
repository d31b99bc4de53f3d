"""
The lanes of the further models: the quality of every face, and landmarks and head pose of chosen faces.

Quality is measured when there is a model for it, landmarks and pose when a request names them.
"""

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import cv2
import numpy as np
import structlog
from numpy.typing import NDArray

from embedder.engine import Detection, Pixels
from embedder.enrichment.model_discovery import NO_FILES, EnrichmentFiles
from embedder.enrichment.models import (
    LANDMARK_SIDE,
    LandmarkModel,
    PoseModel,
    QualityModel,
    as_head_pose,
    pose_of_points,
)
from embedder.images.alignment import warp
from embedder.images.colour import cv2_array
from embedder.lanes import Lane, LaneSize
from embedder.models.pack import ModelFile
from embedder.models.sessions import Device
from immich_facesets import face_requests, wire
from immich_facesets.quality.pose import Pose, upright_turns

log = structlog.get_logger(__name__)
ModelT = TypeVar("ModelT")
Points = NDArray[np.float64]

MARGIN = 1.5
"""
The side of the landmark models' square, in longer sides of the box, as in insightface.

FSA-Net, too, was trained on looser boxes than SCRFD's. On mirrored photos it agrees with itself to 1.1 degrees with
this square, and only to 4 with the bare box.
"""


@dataclass(frozen=True, slots=True, eq=False)
class LandmarkCrop:
    """
    A chosen face: ``crop`` (192, 192, 3) RGB, nearly upright after ``turns`` quarter turns, and the ``matrix`` (2, 3)
    that leads from the original to it.
    """

    crop: Pixels
    matrix: Points
    turns: int
    requested: frozenset[face_requests.Enrichment]


@dataclass(frozen=True, slots=True, eq=False)
class Enriched:
    """The requested measures of one face: points (n, 2) or (n, 3) in the original, and the head pose."""

    landmarks_106: Points | None = None
    landmarks_68: Points | None = None
    head_pose: wire.HeadPose | None = None


NOTHING_ASKED = Enriched()


def cut_landmark_crop(
    pixels: Pixels, detection: Detection, requested: frozenset[face_requests.Enrichment]
) -> LandmarkCrop:
    """
    Cut a face out of a whole picture as insightface does for its landmark models, turned upright if it lies.

    With a reduced picture the points differ by up to 1.5 % of the face's size.
    """
    box, turns = detection.box, upright_turns(detection.landmarks)
    scale = LANDMARK_SIDE / (MARGIN * max(1.0, box.width, box.height))
    linear = scale * np.linalg.matrix_power(np.array([[0.0, 1.0], [-1.0, 0.0]]), turns)
    middle = np.array([(box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2])
    matrix = np.hstack([linear, (LANDMARK_SIDE / 2 - linear @ middle)[:, None]])
    return LandmarkCrop(warp(pixels, matrix, LANDMARK_SIDE), matrix, turns, requested)


class Enricher:
    """Runs landmark and pose models on crops, each opened when it is first needed. It is thread-safe."""

    def __init__(self, files: EnrichmentFiles, device: Device) -> None:
        self._files = files
        self._of_106 = _Lazy(lambda: _maybe(files.landmarks_106, device))
        self._of_68 = _Lazy(lambda: _maybe(files.landmarks_68, device))
        self._poses = _Lazy(lambda: tuple(PoseModel(file, device) for file in files.poses))

    def enrich(self, crops: Sequence[LandmarkCrop]) -> list[Enriched]:
        """Return the measures requested for each crop, as far as there are models for them."""
        marked = [number for number, crop in enumerate(crops) if face_requests.Enrichment.LANDMARKS in crop.requested]
        posed = [number for number, crop in enumerate(crops) if face_requests.Enrichment.POSE in crop.requested]
        by_points = [] if self._files.poses or not self._files.has_depth else posed
        many = _points(self._of_106.get() if marked else None, 106, crops, marked)
        need_68 = sorted({*marked, *by_points})
        few = _points(self._of_68.get() if need_68 else None, 68, crops, need_68)
        poses = (
            self._head_poses(crops, posed)
            if self._files.poses
            else {n: pose_of_points(few[n]) for n in by_points if n in few}
        )
        return [
            Enriched(
                many.get(number),
                few.get(number) if number in marked else None,
                as_head_pose(poses[number]) if number in poses else None,
            )
            for number in range(len(crops))
        ]

    def _head_poses(self, crops: Sequence[LandmarkCrop], chosen: Sequence[int]) -> dict[int, Pose]:
        """Return the average of all pose models; turning a face upright first changes only its roll."""
        if not chosen:
            return {}
        models = self._poses.get()
        angles = np.mean(
            [model.angles([_reduced(crops[n].crop, model.side) for n in chosen]) for model in models], axis=0
        )
        poses: dict[int, Pose] = {}
        for number, (yaw, pitch, roll) in zip(chosen, angles.tolist(), strict=True):
            if math.isfinite(yaw + pitch + roll):
                poses[number] = Pose(yaw, pitch, (roll + 90.0 * crops[number].turns + 180.0) % 360.0 - 180.0)
        return poses


@dataclass(frozen=True, slots=True)
class EnrichmentModels:
    """The further models of an embedder; without files nothing is measured."""

    files: EnrichmentFiles = NO_FILES
    quality: QualityModel | None = None
    enricher: Enricher | None = None


NO_ENRICHMENT = EnrichmentModels()


def open_enrichment(files: EnrichmentFiles, device: Device) -> EnrichmentModels:
    """The quality model is opened at once, because every face needs it; the others at the first request for them."""
    quality = None if files.quality is None else QualityModel(files.quality, device)
    return EnrichmentModels(files, quality, Enricher(files, device) if files.offers else None)


class EnrichmentLanes:
    """A lane for the quality of every face, and one for the measures requested for chosen faces."""

    def __init__(
        self,
        enrichment: EnrichmentModels,
        size: LaneSize,
        *,
        on_crash: Callable[[str, BaseException], None],
        on_batch: Callable[[str, int, float], None],
    ) -> None:
        self.enrichment = enrichment
        self._quality: Lane[Pixels, float | None] | None = None
        self._enrich: Lane[LandmarkCrop, Enriched] | None = None
        if enrichment.quality is not None:
            self._quality = Lane("quality", enrichment.quality.scores, size, on_crash=on_crash, on_batch=on_batch)
        if enrichment.enricher is not None:
            self._enrich = Lane("enrich", enrichment.enricher.enrich, size, on_crash=on_crash, on_batch=on_batch)

    async def score(self, crops: Sequence[Pixels | None]) -> list[float | None]:
        """Return the quality of aligned faces; None where the model fails, and throughout if there is no model."""
        found: list[float | None] = [None] * len(crops)
        shown = {number: crop for number, crop in enumerate(crops) if crop is not None}
        if self._quality is None or not shown:
            return found
        for number, outcome in zip(shown, await self._quality.run_many(list(shown.values())), strict=True):
            if isinstance(outcome, Exception):
                log.warning("quality_failed", error=type(outcome).__name__)
            else:
                found[number] = outcome
        return found

    async def enrich(self, crops: Sequence[LandmarkCrop | None]) -> list[Enriched]:
        """Return the measures requested for each crop; none for a face without one. The first error is raised."""
        found = [NOTHING_ASKED] * len(crops)
        chosen = {number: crop for number, crop in enumerate(crops) if crop is not None}
        if self._enrich is None or not chosen:
            return found
        for number, outcome in zip(chosen, await self._enrich.run_many(list(chosen.values())), strict=True):
            if isinstance(outcome, Exception):
                raise outcome
            found[number] = outcome
        return found

    def queues(self) -> Iterator[tuple[str, Callable[[], int]]]:
        """Yield each lane that exists, with the number of items queued in it."""
        if (quality := self._quality) is not None:
            yield quality.name, lambda: quality.waiting
        if (enrich := self._enrich) is not None:
            yield enrich.name, lambda: enrich.waiting

    def close(self, *, wait_seconds: float = 0.0) -> None:
        for lane in (self._quality, self._enrich):
            if lane is not None:
                lane.close(wait_seconds=wait_seconds)


class _Lazy(Generic[ModelT]):
    """A model that is opened once, at its first use."""

    def __init__(self, opening: Callable[[], ModelT]) -> None:
        self._opening = opening
        self._turn = threading.Lock()
        self._opened: list[ModelT] = []

    def get(self) -> ModelT:
        with self._turn:
            if not self._opened:
                self._opened.append(self._opening())
            return self._opened[0]


def _maybe(file: ModelFile | None, device: Device) -> LandmarkModel | None:
    return None if file is None else LandmarkModel(file, device)


def _points(
    model: LandmarkModel | None, count: int, crops: Sequence[LandmarkCrop], chosen: Sequence[int]
) -> dict[int, Points]:
    """
    The points of the chosen crops in the original, by their numbers; depth in the original's pixels, too. A face of
    which the model gives no numbers is left out.
    """
    if model is None or not chosen:
        return {}
    found = model.points([crops[number].crop for number in chosen], count).astype(np.float64)
    back: dict[int, Points] = {}
    for number, points in zip(chosen, found, strict=True):
        linear, shift = crops[number].matrix[:, :2], crops[number].matrix[:, 2]
        places = (points[:, :2] - shift) @ np.linalg.inv(linear).T
        if np.isfinite(points).all():
            back[number] = np.hstack([places, points[:, 2:] / np.hypot(*linear[0])])
    return back


def _reduced(crop: Pixels, side: int) -> Pixels:
    return cv2_array(cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA))

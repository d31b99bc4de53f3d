"""
Enrichment: landmarks and head pose of the faces that may be exported, once for each face and set of models.

The models see the stored crops; their results are converted to pixels of the original.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Collection, Sequence

import numpy as np
import structlog
from numpy.typing import NDArray

from immich_facesets.errors import ItemError
from immich_facesets.exports.crop_checks import main_face
from immich_facesets.exports.crops import box_in_crop, points_in_original
from immich_facesets.face_requests import Enrichment, FacesRequest
from immich_facesets.quality.landmarks import NOTHING_FOUND, Enriched
from immich_facesets.quality.pose import Pose, upright_turns
from immich_facesets.wire import FacesAnswer, HeadPose, Info
from service.embedders.pool import EmbedderPool
from service.files.crops import read_crop
from service.passes.context import PassContext
from service.passes.fan_out import fan_out
from service.passes.picture_isolation import PictureIsolation
from service.store import enrichments
from service.store.enrichments import Unenriched

log = structlog.get_logger(__name__)

_TASKS = frozenset({"landmarks", "pose"})
_REFUSED = "bad_question"


class Enrich:
    """
    One run over all faces that may be exported.

    It does nothing when the embedder lacks such models or the setting is off.
    """

    def __init__(self, context: PassContext, pool: EmbedderPool) -> None:
        self._context = context
        self._pool = pool
        self._isolation = PictureIsolation(context, pool)
        settings = context.settings
        self._requested = frozenset[Enrichment]() if settings.enrich == "off" else frozenset(pool.info.enrich)
        self._models = models_of(pool.info)
        self._is_refused = False
        self.count = 0

    async def run(self, only: Collection[int] | None = None) -> None:
        """
        Request results for every face that these models have not seen; a stop leaves the rest to the next run.

        ``only``: the ids of the faces that matter; None for all.
        """
        if not self._requested:
            return
        settings, store = self._context.settings, self._context.store
        todo = await store.read(
            enrichments.to_enrich,
            self._pool.info.space,
            self._models,
            settings.export_min_face_short,
        )
        todo = [item for item in todo if only is None or item.face.face_id in only]
        board = self._context.board
        board.update_stage("publish", done=0, total=len(todo), note="landmarks and head pose")

        async def each() -> AsyncIterator[Unenriched]:
            for item in todo:
                if not self._is_refused:
                    yield item

        async def one(item: Unenriched) -> None:
            found = await self._ask(item)
            if self._is_refused:
                return
            await store.write(enrichments.record_enrichment, item.face.face_id, found, models=self._models)
            self.count += 1
            board.update_stage("publish", done=self.count)

        await fan_out(each(), one, workers=self._pool.capacity, stop=self._context.stop)

    async def _ask(self, item: Unenriched) -> Enriched:
        """Return the models' result for one face, empty if the face is not found again or its crop is rejected."""
        try:
            image = await asyncio.to_thread(read_crop, self._context.crops_dir, item.crop.file)
            answer = await self._isolation.ask(image, FacesRequest(enrich=self._requested))
        except ItemError as error:
            if error.reason == _REFUSED and not self._is_refused:  # one of several embedders lacks the models
                self._is_refused = True
                log.warning("enrich_refused", message=str(error))
            return NOTHING_FOUND
        return found_in(answer, item)


def models_of(info: Info) -> str:
    """Return a digest that identifies the models for landmarks and pose."""
    digests = sorted(f"{model.task}:{model.sha256}" for model in info.models if model.task in _TASKS)
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def found_in(answer: FacesAnswer, item: Unenriched) -> Enriched:
    """Return the result for a face from the response to its crop, in upright pixels of the original."""
    turns = upright_turns(item.face.landmarks)
    area = item.crop.area_corners
    seen = main_face(answer, box_in_crop(item.face.box, area, answer.width, turns=turns))
    if seen is None:
        return NOTHING_FOUND

    def back(points: NDArray[np.float64]) -> NDArray[np.float32]:
        return points_in_original(points, area, answer.width, turns=turns).astype(np.float32)

    return Enriched(
        of_106=None if seen.landmarks_106 is None else back(np.array(seen.landmarks_106)),
        of_68=None if seen.landmarks_68 is None else back(_with_depth(seen.landmarks_68, seen.depth_68)),
        pose=_pose(seen.head_pose, turns),
    )


def _with_depth(points: Sequence[tuple[float, float]], depth: Sequence[float] | None) -> NDArray[np.float64]:
    """Return the points with depth, shape (n, 3); depth is NaN where it is unknown."""
    return np.column_stack([points, np.full(len(points), np.nan) if depth is None else depth])


def _pose(pose: HeadPose | None, turns: int) -> Pose | None:
    """Return the pose in the original, from the pose seen in a crop that is turned upright."""
    if pose is None:
        return None
    return Pose(pose.yaw, pose.pitch, (pose.roll + 90.0 * turns + 180.0) % 360.0 - 180.0)

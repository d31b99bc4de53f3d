"""Check of finished crops: the detector determines once for each whether it shows one face, and the right one."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from immich_facesets.errors import ItemError
from immich_facesets.exports.crop_checks import strangers, verdict
from immich_facesets.exports.crops import Picture, box_in_crop, finished_picture, paint_over
from immich_facesets.faces import Box
from immich_facesets.facesets.faceset import Check, ExportFace, ExportRules, Verdict
from immich_facesets.quality.pose import upright_turns
from immich_facesets.wire import FacesAnswer
from service.embedders.pool import EmbedderPool
from service.files.crops import read_crop
from service.passes.context import PassContext
from service.passes.crash_isolation import CrashIsolation
from service.passes.workers import fan_out
from service.store import exports
from service.store.exports import StoredCrop


class CropLooks:
    """Crop checks of one publish pass. ``crops`` holds every crop by face id, with its current results."""

    def __init__(self, conditions: PassContext, pool: EmbedderPool, rules: ExportRules) -> None:
        self._conditions = conditions
        self._pool = pool
        self._isolation = CrashIsolation(conditions, pool)
        self._rules = rules
        self.crops: dict[int, StoredCrop] = {}
        self.count = 0

    def known(self, identity: int, face_ids: Iterable[int]) -> dict[int, Check]:
        """Return the results of earlier checks that are still valid."""
        key = self._key(identity)
        crops = ((face_id, self.crops[face_id]) for face_id in face_ids)
        return {
            face_id: Check(Verdict(crop.verdict), is_masked=bool(crop.painted))
            for face_id, crop in crops
            if crop.verdict is not None and crop.check_key == key
        }

    async def look_at(
        self, faces: Sequence[ExportFace], identity: int, centroid: NDArray[np.float32]
    ) -> dict[int, Check]:
        """Check the crops of these faces and store the results; a stop leaves some out."""
        key = self._key(identity)
        checks: dict[int, Check] = {}

        async def one(face: ExportFace) -> None:
            face_id = face.candidate.face.face_id
            found, painted = await self._check(face, centroid)
            await self._conditions.store.write(
                exports.record_verdict, face_id, check_key=key, verdict=found.value, painted=painted
            )
            crop = self.crops[face_id]  # not checked again for an era of the identity, now or later
            self.crops[face_id] = replace(crop, painted=painted, verdict=found.value, check_key=key)
            checks[face_id] = Check(found, is_masked=bool(painted))
            self.count += 1

        async def each() -> AsyncIterator[ExportFace]:
            for face in faces:
                yield face

        await fan_out(each(), one, workers=self._pool.capacity, stop=self._conditions.stop)
        return checks

    def finished(self, crop: StoredCrop) -> Picture:
        """Return a crop as exports show it. Blocking."""
        return finished_picture(self.stored(crop), self._rules.out_size)

    def stored(self, crop: StoredCrop) -> bytes:
        """Return the bytes of a crop as stored. Blocking."""
        return read_crop(self._conditions.crops_dir, crop.file)

    def _key(self, identity: int) -> str:
        """Return a digest of everything that a verdict on a crop depends on."""
        rules = self._rules
        text = f"{self._pool.info.space};{rules.out_size};{rules.pad_ratio:g};{rules.outlier:g};{identity}"
        return hashlib.sha256(text.encode()).hexdigest()

    async def _check(self, face: ExportFace, centroid: NDArray[np.float32]) -> tuple[Verdict, tuple[Box, ...]]:
        """
        Return the detector's verdict on the finished crop.

        A second face is painted over, and the crop is checked again.
        """
        seen = face.candidate.face
        crop, rules = self.crops[seen.face_id], self._rules
        expected = box_in_crop(seen.box, crop.area_corners, rules.out_size, turns=upright_turns(seen.landmarks))
        try:
            picture = await asyncio.to_thread(self.finished, crop)
            answer = await self._faces(picture)
            found = verdict(answer, expected, centroid, rules.outlier)
            if found is not Verdict.SECOND:
                return found, ()
            others = strangers(answer, expected)
            painted = await asyncio.to_thread(paint_over, picture, others, expected)
            answer = await self._faces(painted)
        except ItemError:
            return Verdict.NONE, ()
        again = verdict(answer, expected, centroid, rules.outlier)
        return (again, others) if again is Verdict.OK else (Verdict.SECOND, ())

    async def _faces(self, picture: Picture) -> FacesAnswer:
        return await self._isolation.ask(await asyncio.to_thread(_bmp, picture))


def _bmp(picture: Picture) -> bytes:
    """Return the exact pixels of a finished crop, in the format that is fastest to write."""
    return cv2.imencode(".bmp", picture)[1].tobytes()

"""
Check of finished crops: whether each shows one face, and the right one.

The detector looks at a finished crop once. Its findings are stored, so that another person or another threshold needs
no further look.
"""

import asyncio
import hashlib
import math
from collections.abc import AsyncIterator, Sequence

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from immich_facesets.errors import ItemError
from immich_facesets.exports.crop_checks import NOTHING_SEEN, CropFacts, SeenFaces, check, decoded, seen_faces
from immich_facesets.exports.crop_geometry import part_in_picture, shown_area
from immich_facesets.exports.crops import Picture, blacken_outside, box_in_crop, finished_picture, paint_over
from immich_facesets.exports.framing import frame_for_detectors, in_frame
from immich_facesets.face_requests import FacesRequest
from immich_facesets.faces import Box, Face
from immich_facesets.facesets.faceset import Check, ExportFace, ExportRules, Verdict
from immich_facesets.quality.colour import COLOURED, colour_of
from immich_facesets.quality.pose import upright_turns
from immich_facesets.wire import FacesAnswer
from service.embedders.pool import EmbedderPool
from service.files.crops import read_crop
from service.passes.context import PassContext
from service.passes.fan_out import fan_out
from service.passes.picture_isolation import PictureIsolation
from service.store import exports
from service.store.exports import StoredCrop

_LOOK = 3
"""Version of what is looked at. Increase it when the same crop is finished differently: all are looked at again."""


class CropChecks:
    """
    Crop checks of one publish pass, by its ``rules``. ``crops`` holds every crop by face id.

    ``count``: how many crops the embedder was asked about.
    """

    def __init__(self, context: PassContext, pool: EmbedderPool, rules: ExportRules) -> None:
        self._context = context
        self._pool = pool
        self._isolation = PictureIsolation(context, pool)
        self.rules = rules
        self._strangers: dict[int, tuple[Box, ...]] = {}
        self.crops: dict[int, StoredCrop] = {}
        self.count = 0

    async def of(self, faces: Sequence[ExportFace], identity: int, centroid: NDArray[np.float32]) -> dict[int, Check]:
        """
        Return the checks of these faces' crops, for a face set of an identity with this centroid.

        Crops without facts are looked at, and the facts are stored; a stop leaves some out.
        """
        face_ids = [face.candidate.face.face_id for face in faces]
        stored = await self._context.store.read(exports.crop_facts, face_ids, self._facts_key)
        facts = {face_id: decoded(body) for face_id, body in stored.items()}
        included = {face.candidate.face.face_id for face in faces if face.candidate.is_included}
        earlier = self._earlier([face_id for face_id in face_ids if face_id not in {*facts, *included}], identity)
        facts |= await self._look_at([face for face in faces if face.candidate.face.face_id not in {*facts, *earlier}])
        checks = {
            face_id: check(found, centroid, outlier_of(self.rules, is_included=face_id in included))
            for face_id, found in facts.items()
        }
        self._strangers |= {face_id: found.finished.strangers for face_id, found in facts.items()}
        return checks | earlier

    async def lengths(self, faces: Sequence[ExportFace]) -> dict[int, float]:
        """
        Return the length of the recogniser's own vector of each face, by face id, as it sees the exported crop.

        Crops whose facts were stored without it are looked at again; a stop leaves some out.
        """
        face_ids = [face.candidate.face.face_id for face in faces]
        stored = await self._context.store.read(exports.crop_facts, face_ids, self._facts_key)
        found = {face_id: decoded(body).length for face_id, body in stored.items()}
        again = [face for face in faces if found.get(face.candidate.face.face_id) is None]
        found |= {face_id: facts.length for face_id, facts in (await self._look_at(again)).items()}
        return {face_id: length for face_id, length in found.items() if length is not None}

    async def monochrome(self, faces: Sequence[ExportFace]) -> list[int]:
        """
        Return the faces, by face id, whose crops have no colours, as those of grey photos and infrared cameras.

        The colour of a crop that was checked before is computed and stored; this asks no embedder.
        """
        stored = await self._context.store.read(
            exports.crop_facts, [face.candidate.face.face_id for face in faces], self._facts_key
        )
        found = []
        for face in faces:
            if self._context.stop.is_set():
                break
            face_id = face.candidate.face.face_id
            facts = decoded(stored[face_id]) if face_id in stored else None
            colour = None if facts is None else facts.colour
            if colour is None:
                colour = await asyncio.to_thread(self._colour, face.candidate.face)
                if facts is not None:
                    seen = msgspec.structs.replace(facts, colour=colour).encoded()
                    await self._context.store.write(exports.record_crop_facts, face_id, key=self._facts_key, seen=seen)
            found += [face_id] if colour < COLOURED else []
        return found

    def _colour(self, face: Face) -> float:
        """Return the colour of a face in its finished crop; none where the crop cannot be read. Blocking."""
        try:
            picture, box = self.finished(face), self.place(face)
        except ItemError:
            return 0.0
        left, top = (max(0, round(edge)) for edge in (box.x1, box.y1))
        return colour_of(picture[top : round(box.y2), left : round(box.x2)])

    def strangers(self, face_id: int) -> tuple[Box, ...]:
        """Return the other faces in the finished crop of a face, in its pixels; none of a crop that was not checked."""
        return self._strangers.get(face_id, ())

    def finished(self, face: Face, frame: Box | None = None) -> Picture:
        """
        Return the crop of a face as exports show it, black outside its picture. Blocking.

        ``frame``: the square of it to show, in its pixels; None for all of it.
        """
        crop, side = self.crops[face.face_id], self.rules.out_size
        shown = box_in_crop(self._shown(face), crop.area_corners, 1, turns=upright_turns(face.landmarks))
        frame = frame or Box(0.0, 0.0, side, side)
        left, top, shares = shown.x1, shown.y1, frame.scaled(shown.width / side, shown.height / side)
        part, whole = Box(left + shares.x1, top + shares.y1, left + shares.x2, top + shares.y2), Box(0.0, 0.0, 1.0, 1.0)
        picture = finished_picture(self.stored(crop), side, None if part == whole else part)
        return blacken_outside(picture, in_frame(self.inside(face), frame, side))

    def inside(self, face: Face) -> Box:
        """Return the part of the finished crop of a face that lies in its picture, in pixels of the crop."""
        crop, shown = self.crops[face.face_id], self._shown(face)
        part = part_in_picture(shown, crop.width, crop.height)
        corners = (shown.x1, shown.y1, shown.x2, shown.y2)
        return box_in_crop(part, corners, self.rules.out_size, turns=upright_turns(face.landmarks))

    def place(self, face: Face) -> Box:
        """Return the place of a face in its finished crop."""
        shown = self._shown(face)
        area, turns = (shown.x1, shown.y1, shown.x2, shown.y2), upright_turns(face.landmarks)
        return box_in_crop(face.box, area, self.rules.out_size, turns=turns)

    def _shown(self, face: Face) -> Box:
        """Return the square of the original that the finished crop of a face shows."""
        crop = self.crops[face.face_id]
        return shown_area(face.box, crop.area, stored_pad=crop.pad_ratio, pad_ratio=self.rules.pad_ratio)

    def stored(self, crop: StoredCrop) -> bytes:
        """Return the bytes of a crop as stored. Blocking."""
        return read_crop(self._context.crops_dir, crop.file)

    @property
    def _facts_key(self) -> str:
        """A digest of everything that the facts of a crop depend on."""
        info = self._pool.info
        detectors = ",".join(model.sha256 for model in info.models if model.task in {"detection", "yunet"})
        return _digest(f"{_LOOK};{info.space};{detectors};{self.rules.out_size};{self.rules.pad_ratio:g}")

    def _earlier(self, face_ids: Sequence[int], identity: int) -> dict[int, Check]:
        """Return the verdicts without facts, of versions before 0009, that were made for this very question."""
        rules = self.rules
        key = _digest(f"{self._pool.info.space};{rules.out_size};{rules.pad_ratio:g};{rules.outlier:g};{identity}")
        found: dict[int, Check] = {}
        for face_id in face_ids:
            crop = self.crops[face_id]
            if crop.verdict is not None and crop.check_key == key:
                found[face_id] = Check(Verdict(crop.verdict), is_masked=bool(crop.painted))
                self._strangers[face_id] = crop.painted
        return found

    async def _look_at(self, faces: Sequence[ExportFace]) -> dict[int, CropFacts]:
        """Look at the crops of these faces and store the facts; a stop leaves some out."""
        facts: dict[int, CropFacts] = {}

        async def one(face: ExportFace) -> None:
            face_id = face.candidate.face.face_id
            found = await self._facts(face)
            await self._context.store.write(
                exports.record_crop_facts, face_id, key=self._facts_key, seen=found.encoded()
            )
            facts[face_id] = found
            self.count += 1

        async def each() -> AsyncIterator[ExportFace]:
            for face in faces:
                yield face

        await fan_out(each(), one, workers=self._pool.capacity, stop=self._context.stop)
        return facts

    async def _facts(self, face: ExportFace) -> CropFacts:
        """
        Return what the detector sees in the finished crop, and in less of it where it sees strangers there.

        A crop that cannot be read, or of which the embedder ends, shows nothing.
        """
        candidate = face.candidate.face
        expected = self.place(candidate)
        try:
            picture = await asyncio.to_thread(self.finished, candidate)
            finished = seen_faces(await self._faces(picture), expected)
            if finished.main is None or not finished.strangers:
                return CropFacts(finished)
            framed = await self._framed(candidate, finished)
            if framed is not None:
                return framed
            picture = await asyncio.to_thread(paint_over, picture, finished.strangers, expected)
            return CropFacts(finished, seen_faces(await self._faces(picture, suspects=False), expected))
        except ItemError:
            return NOTHING_SEEN

    async def _framed(self, face: Face, finished: SeenFaces) -> CropFacts | None:
        """Return the facts of a crop of which a square without the strangers shows one face; None without such one."""
        expected, side = self.place(face), float(self.rules.out_size)
        frame = frame_for_detectors(expected, finished.strangers, side)
        if frame is None:
            return None
        picture = await asyncio.to_thread(self.finished, face, frame)
        framed = seen_faces(await self._faces(picture), in_frame(expected, frame, side))
        if framed.main is None or framed.strangers:
            return None
        shares = frame.scaled(1 / side, 1 / side)
        return CropFacts(finished, framed=framed, frame=(shares.x1, shares.y1, shares.x2, shares.y2))

    async def _faces(self, picture: Picture, *, suspects: bool = True) -> FacesAnswer:
        """
        Return the faces in a finished crop.

        With a margin, unless it was painted over: that covers every suspect, and may itself look like a face.
        """
        request = FacesRequest(suspects=suspects)
        return await self._isolation.ask(await asyncio.to_thread(_bmp, picture), request)


def outlier_of(rules: ExportRules, *, is_included: bool) -> float:
    """Return the distance above which a crop is another person's; none for a face that was included by hand."""
    return math.inf if is_included else rules.outlier


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _bmp(picture: Picture) -> bytes:
    """Return the exact pixels of a finished crop, in the format that is fastest to write."""
    return cv2.imencode(".bmp", picture)[1].tobytes()

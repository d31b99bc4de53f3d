"""
Cuts of one publish: more of the original around a face than its crop shows, for forms of another framing.

A missing one is fetched, cut by the embedder, looked at once for other faces, and kept beside the crops. A kill leaves
a file without a row at most, which group deletes.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import structlog

from immich_facesets.assets import Asset
from immich_facesets.errors import ItemError, SetupError, TransientError
from immich_facesets.exports.crop_checks import seen_faces
from immich_facesets.exports.cuts import Framing, planned_area
from immich_facesets.face_requests import CutRequest, FacesRequest, Mode
from immich_facesets.faces import SAME_FACE_IOU, Box, Face
from immich_facesets.quality.pose import upright_turns
from immich_facesets.runtime.file_modes import make_folder
from immich_facesets.wire import CutAnswer, FacesAnswer
from service.embedders.pool import EmbedderPool
from service.files.crops import keep_crop, read_crop
from service.files.durable import discard, disk_trouble
from service.passes.context import PassContext
from service.passes.fan_out import each, fan_out
from service.passes.picture_isolation import PictureIsolation
from service.passes.publishing.crop_checks import CropChecks
from service.remote.guard import CircuitOpenError
from service.sources import Source, Staged
from service.store import cuts, failures
from service.store.cuts import StoredCut

log = structlog.get_logger(__name__)

_LOOK = 1
"""Version of what is looked at. Increase it when other faces are searched for differently: all are looked at again."""


class Cuts:
    """
    The cuts of one publish pass. ``sources``: those that can be read now.

    ``count``: how many cuts were made; ``is_late``: whether a picture could not be given for a reason outside itself.
    """

    def __init__(
        self, context: PassContext, pool: EmbedderPool, checks: CropChecks, sources: Mapping[str, Source]
    ) -> None:
        self._context = context
        self._store = context.store
        self._pool = pool
        self._checks = checks
        self._sources = sources
        self._isolation = PictureIsolation(context, pool)
        self._opened: dict[str, asyncio.Lock] = {}
        self._ready: set[str] = set()
        self._away: dict[str, CircuitOpenError] = {}
        self._refusal: CircuitOpenError | SetupError | None = None
        self._known: dict[tuple[int, Framing], StoredCut] = {}
        self._boxes: dict[str, tuple[Box, ...]] = {}
        self.count = 0
        self.is_late = False

    def of(self, face: Face, framing: Framing) -> StoredCut | None:
        """Return the cut of a face that was prepared; None where its original could not be had."""
        return self._known.get((face.face_id, framing))

    def strangers(self, face: Face, framing: Framing) -> tuple[Box, ...]:
        """Return the other faces in a prepared cut, in pixels of the original."""
        cut = self._known[face.face_id, framing]
        everybody = (*cut.others, *self._boxes.get(face.sha256, ()))
        return tuple(box for box in everybody if box.iou(face.box) < SAME_FACE_IOU and _meet(box, cut.area))

    async def prepare(self, faces: Sequence[Face], framing: Framing, pixels: int) -> None:
        """
        Have the cuts of these faces ready, as far as their originals can be had; a stop leaves some out.

        ``CircuitOpenError`` when originals are missing because of a remote that is down: what was cut is kept. After an error
        that is none of a source, nothing is fetched any more, as it could not be cut.
        """
        new = [face for face in faces if (face.face_id, framing) not in self._known]
        stored = await self._store.read(cuts.cuts_of, [face.face_id for face in new], framing)
        on_disk = await asyncio.to_thread(self._on_disk, stored)
        missing: dict[str, list[Face]] = {}
        for face in new:
            cut = on_disk.get(face.face_id)
            if cut is not None and cut.planned == _text(self._area(face, framing)) and cut.serves(pixels):
                self._known[face.face_id, framing] = cut
            else:
                missing.setdefault(face.sha256, []).append(face)
        self._boxes |= await self._store.read(cuts.boxes_in, self._pool.info.space, {face.sha256 for face in new})
        await self._look_again([face for face in new if (face.face_id, framing) in self._known], framing)
        await self._fetch_all(missing, framing, pixels)

    def _on_disk(self, stored: Mapping[int, StoredCut]) -> dict[int, StoredCut]:
        folder = self._context.crops_dir
        return {face_id: cut for face_id, cut in stored.items() if (folder / cut.file).is_file()}

    def _area(self, face: Face, framing: Framing) -> Box:
        crop = self._checks.crops[face.face_id]
        return planned_area(framing, face.box, upright_turns(face.landmarks), crop.width, crop.height)

    async def _look_again(self, faces: Sequence[Face], framing: Framing) -> None:
        """Look at stored cuts that other detectors have looked at."""
        key = self._check_key

        async def one(face: Face) -> None:
            cut = self._known[face.face_id, framing]
            try:
                image = await asyncio.to_thread(read_crop, self._context.crops_dir, cut.file)
                cut = replace(cut, check_key=key, others=await self._others(image, cut, face))
            except ItemError:
                del self._known[face.face_id, framing]
                return
            await self._store.write(cuts.record_cut, cut, None)
            self._known[face.face_id, framing] = cut

        old = [face for face in faces if self._known[face.face_id, framing].check_key != key]
        await fan_out(each(old), one, workers=self._pool.capacity, stop=self._context.stop)

    async def _fetch_all(self, missing: Mapping[str, Sequence[Face]], framing: Framing, pixels: int) -> None:
        """Fetch each of these contents once, and cut it for its faces."""
        if not missing:
            return
        if self._refusal is not None:
            raise self._refusal
        log.info("originals_fetched", pictures=len(missing), framing=framing.value)
        note = f"fetching {len(missing)} originals for {framing.value} pictures"
        self._context.board.update_stage("publish", note=note)
        waits: list[CircuitOpenError] = []

        async def one(sha256: str) -> None:
            error = await self._fetch_one(sha256, missing[sha256], framing, pixels)
            waits.extend([] if error is None else [error])

        workers = min(self._pool.capacity, self._context.settings.fetch_concurrency)
        try:
            await fan_out(each(sorted(missing)), one, workers=workers, stop=self._context.stop)
        except (CircuitOpenError, SetupError) as error:
            self._refusal = error
            raise
        if waits:
            raise waits[0]

    async def _fetch_one(
        self, sha256: str, faces: Sequence[Face], framing: Framing, pixels: int
    ) -> CircuitOpenError | None:
        """Try each place of a content in turn; return the error of a remote that is down, if it might have helped."""
        waits_for: CircuitOpenError | None = None
        for asset in await self._store.read(cuts.places_to_cut, sha256, self._context.clock()):
            try:
                staged = await self._fetched(asset)
            except CircuitOpenError as error:
                self._away[asset.source] = waits_for = error
                continue
            except (ItemError, TransientError) as error:
                await self._record(asset, error)
                continue
            try:
                if staged.sha256 == sha256:
                    await self._cut_all(staged, asset, faces, framing, pixels)
                    return None
                await self._record(
                    asset, TransientError("it was changed since it was read: the next sync reads it again")
                )
            except CircuitOpenError:
                raise
            except (ItemError, TransientError) as error:
                await self._record(asset, error)
            finally:
                await asyncio.to_thread(self._discard, staged)
        return waits_for

    async def _fetched(self, asset: Asset) -> Staged:
        """Return the original on disk; ``CircuitOpenError`` where its source cannot be read now."""
        name = asset.source
        if name in self._away:
            raise self._away[name]
        source = self._sources.get(name)
        if source is None:
            raise CircuitOpenError(
                f"originals of {name} are needed for FACESETS_CROP_FRAMING, and this source cannot be read now: run "
                "'immich-facesets sync' when it can"
            )
        async with self._opened.setdefault(name, asyncio.Lock()):
            if name not in self._ready:
                await source.open()
                self._ready.add(name)
        folder = self._context.staging_dir
        with disk_trouble(folder):
            await asyncio.to_thread(make_folder, folder)
        return await source.fetch(asset, folder)

    def _discard(self, staged: Staged) -> None:
        with disk_trouble(self._context.staging_dir):
            staged.path.unlink(missing_ok=True)

    async def _record(self, asset: Asset, error: ItemError | TransientError) -> None:
        self.is_late |= isinstance(error, TransientError)
        now = self._context.clock()
        await self._store.write(failures.record_failure, cuts.CUT, asset.source, asset.asset_id, error=error, now=now)

    async def _cut_all(
        self, staged: Staged, asset: Asset, faces: Sequence[Face], framing: Framing, pixels: int
    ) -> None:
        """Cut an original for each of its faces. Each cut is durable before its row, and stays after an error."""
        for face in faces:
            area = self._area(face, framing)
            request = FacesRequest(Mode.GUIDED, (face.box,), cut=CutRequest(area, pixels * pixels))
            found = _cut_of(await self._isolation.ask(staged.path, request))
            file = await asyncio.to_thread(keep_crop, self._context.crops_dir, face.sha256, found.image)
            size = (found.width, found.height)
            cut = StoredCut(face.face_id, framing, _text(area), pixels, file, Box(*found.area), size, "", ())
            cut = replace(cut, check_key=self._check_key, others=await self._others(found.image, cut, face))
            if not await self._store.write(cuts.record_cut, cut, asset):
                await asyncio.to_thread(discard, self._context.crops_dir / file)
                continue
            self._known[face.face_id, framing] = cut
            self.count += 1

    async def _others(self, image: bytes, cut: StoredCut, face: Face) -> tuple[Box, ...]:
        """Return the faces that the detectors see in a cut beside its own, in pixels of the original."""
        answer = await self._isolation.ask(image, FacesRequest(suspects=True))
        area, across = cut.area, cut.area.width / cut.size[0]
        down = area.height / cut.size[1]
        moved = Box(face.box.x1 - area.x1, face.box.y1 - area.y1, face.box.x2 - area.x1, face.box.y2 - area.y1)
        seen = seen_faces(answer, moved.scaled(1 / across, 1 / down)).strangers
        back = (box.scaled(across, down) for box in seen)
        return tuple(Box(b.x1 + area.x1, b.y1 + area.y1, b.x2 + area.x1, b.y2 + area.y1) for b in back)

    @property
    def _check_key(self) -> str:
        """A digest of what the other faces depend on."""
        detectors = ",".join(one.sha256 for one in self._pool.info.models if one.task in {"detection", "yunet"})
        return hashlib.sha256(f"{_LOOK};{self._pool.info.space};{detectors}".encode()).hexdigest()


def _cut_of(answer: FacesAnswer) -> CutAnswer:
    if answer.cut is None:
        raise SetupError(
            "FACESETS_CROP_FRAMING needs an embedder that cuts originals: update it to the version of the service"
        )
    if not Box(*answer.cut.area).area > 0.0:
        raise ItemError("the embedder's answer breaks the contract: a part without area", reason="bad_answer")
    return answer.cut


def _text(area: Box) -> str:
    return ",".join(f"{side:.1f}" for side in (area.x1, area.y1, area.x2, area.y2))


def _meet(box: Box, area: Box) -> bool:
    return box.x1 < area.x2 and area.x1 < box.x2 and box.y1 < area.y2 and area.y1 < box.y2

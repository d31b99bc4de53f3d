"""One picture of the embed pass: it is sent to the embedder, and its faces are stored with their crops."""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog

from immich_facesets.assets import Asset
from immich_facesets.errors import ItemError
from immich_facesets.exports.origin_marks import HEAD_BYTES, is_own_picture
from immich_facesets.face_requests import CropRequest, FacesRequest, Mode
from immich_facesets.wire import FacesAnswer
from service.files.crops import keep_crop
from service.passes.context import PassContext
from service.passes.picture_isolation import PictureIsolation
from service.sources import Staged
from service.store import contents, embedding_work, failures, forgotten
from service.store.contents import EmbeddedContent, FoundFace
from service.store.embedding_work import Recipe

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StoredFaces:
    """How many faces a picture has, and how many of them were not known before."""

    faces: int
    new: int


class PictureEmbedding:
    """The pictures of one run, each embedded by ``recipe`` and stored by its content."""

    def __init__(self, context: PassContext, isolation: PictureIsolation, recipe: Recipe) -> None:
        self._context = context
        self._store = context.store
        self._isolation = isolation
        self._recipe = recipe
        settings = context.settings
        self._crop = CropRequest(settings.crop_size, settings.export_min_face_short, settings.crop_padding)
        self._mode = Mode(settings.detection)

    async def embed(self, asset: Asset, staged: Staged) -> StoredFaces:
        """
        Embed a picture and store its faces; the staged file stays.

        ``ItemError`` where it cannot be read or is an export of ours, ``TransientError`` where no embedder answers.
        """
        if await asyncio.to_thread(_is_own, staged.path):
            raise ItemError("this picture was exported by this program and is not taken in", reason=failures.OWN_EXPORT)
        known = await self._store.read(embedding_work.boxes_of, asset.fingerprint)
        mode = self._mode if known.boxes and known.are_all else Mode.FULL  # without a place, search the whole picture
        request = FacesRequest(mode, known.boxes, self._crop, face_short=self._context.settings.min_face_short)
        answer = await self._isolation.ask(staged.path, request, asset=asset)
        if answer.missing:
            log.warning("picture_cut_off", source=asset.source, asset=asset.asset_id, missing=round(answer.missing, 2))
        answer = await self._without_forgotten(staged.sha256, answer)
        found = await asyncio.to_thread(self._keep_crops, staged.sha256, answer)
        embedded = EmbeddedContent(
            fingerprint=asset.fingerprint,
            sha256=staged.sha256,
            sha1=staged.sha1,
            size_bytes=staged.size_bytes,
            width=answer.width,
            height=answer.height,
            recipe=self._recipe,
            faces=found,
            orientation=answer.orientation,
            phash=answer.phash,
            asked=known.boxes if mode is Mode.GUIDED else None,
        )
        new = await self._store.write(contents.record_content, embedded, self._context.clock())
        return StoredFaces(len(found), new)

    async def _without_forgotten(self, sha256: str, answer: FacesAnswer) -> FacesAnswer:
        """Return an answer without the faces of forgotten people: of these not even a crop is written."""
        boxes = [face.face_box() for face in answer.faces]
        gone = await self._store.read(forgotten.forgotten_in, sha256, boxes)
        kept = tuple(face for index, face in enumerate(answer.faces) if index not in gone)
        return msgspec.structs.replace(answer, faces=kept) if gone else answer

    def _keep_crops(self, sha256: str, answer: FacesAnswer) -> tuple[FoundFace, ...]:
        """Write the crops durably, before any row refers to them."""
        folder = self._context.crops_dir
        return tuple(
            FoundFace(face, None if face.crop is None else keep_crop(folder, sha256, face.crop.image))
            for face in answer.faces
        )


def _is_own(path: Path) -> bool:
    """Return whether this program wrote the picture. Blocking."""
    with path.open("rb") as file:
        head, length = file.read(HEAD_BYTES), file.seek(0, os.SEEK_END)
        file.seek(max(0, length - HEAD_BYTES))
        return is_own_picture(head, file.read(HEAD_BYTES))

"""Embed reference pictures that have no vector in the embedder's space: it is another one, or they were imported."""

import asyncio

import structlog

from immich_facesets.errors import ItemError
from immich_facesets.exports.reference_crops import aligned_face
from immich_facesets.face_requests import LEAST_FACE_SHORT, FacesRequest
from immich_facesets.faces import SAME_FACE_IOU, Box
from immich_facesets.wire import FaceAnswer, FacesAnswer
from service.computation import compute
from service.embedders.pool import EmbedderPool
from service.files.references import DISPLAY
from service.passes.context import PassContext
from service.store import reference_pictures
from service.store.reference_pictures import KeptPicture

log = structlog.get_logger(__name__)

_SURELY_FOUND = 0.8
"""The search is for faces that are somewhat smaller than the one that is there."""


async def embed_references(context: PassContext, pool: EmbedderPool) -> None:
    """Embed what is missing; a picture that cannot be read, or shows no face to this model, is tried again by each sync."""
    space = pool.info.space
    for reference, kept in await context.store.read(reference_pictures.waiting_pictures, space):
        if context.stop.is_set():
            return
        try:
            await _embed(context, pool, reference, kept)
        except ItemError as error:
            log.warning("reference_not_embedded", reference=reference, reason=error.reason)


async def _embed(context: PassContext, pool: EmbedderPool, reference: int, kept: KeptPicture) -> None:
    folder = context.references
    display = await asyncio.to_thread(folder.read, kept.display)
    if display is None:
        raise ItemError("its file is missing", reason="lost")
    side = kept.area.width
    short = min(kept.face.box.width, kept.face.box.height) * min(1.0, DISPLAY.side / side)
    request = FacesRequest(face_short=max(LEAST_FACE_SHORT, _SURELY_FOUND * short))
    answer = await pool.faces(display, request)
    face = face_of(answer, kept)
    async with folder.turn:
        aligned = kept.aligned
        if aligned is None:
            whole = Box(0.0, 0.0, answer.width, answer.height)
            image = await compute(aligned_face, display, face.points(), whole, answer.width, answer.height)
            aligned = await asyncio.to_thread(folder.write, kept.face.sha256, image)
        await context.store.write(reference_pictures.record_vector, reference, answer.space, face, aligned)


def face_of(answer: FacesAnswer, kept: KeptPicture) -> FaceAnswer:
    """Return the face of the person in the square that is kept; ``ItemError`` where it was not found again."""
    area, box = kept.area, kept.face.box
    moved = Box(box.x1 - area.x1, box.y1 - area.y1, box.x2 - area.x1, box.y2 - area.y1)
    place = moved.scaled(answer.width / area.width, answer.height / area.height)
    best = max(answer.faces, key=lambda face: face.face_box().iou(place), default=None)
    if best is None or best.face_box().iou(place) < SAME_FACE_IOU:
        raise ItemError("the face was not found again", reason="no_face")
    return best

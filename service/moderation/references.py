"""Reference pictures of people, added over the API or by command: one way for both."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from immich_facesets.errors import FacesetsError, ItemError
from immich_facesets.face_requests import FacesRequest
from immich_facesets.faces import SAME_FACE_IOU, Box
from immich_facesets.moderation.records import Author
from immich_facesets.moderation.requests import NewPerson
from immich_facesets.wire import FaceAnswer, FacesAnswer
from service.computation import compute
from service.embedders.answers import ANSWER_SECONDS, faces_within, refuse_other_space
from service.embedders.pool import EmbedderPool
from service.files.references import DISPLAY, ReferenceFolder, without_files
from service.settings import Settings
from service.store import decisions, reference_pictures, references, spaces
from service.store.database import Store
from service.store.kept_answers import Key
from service.store.references import AddedReference, PreviewedReference, SentReference, StoredReference
from service.web.library.references import SeveralFacesError

log = structlog.get_logger(__name__)

REFERENCE = "reference"
"""The kind of the decisions after which files may be left that nothing needs."""

Rival = Callable[[FaceAnswer, str, int | None], Awaitable[int | None]]
"""
A function of a face, its space and an identity (None: a new person).

It returns another identity that the face resembles as well, if there is one.
"""


@dataclass(frozen=True, slots=True)
class _Looked:
    """A picture as the embedder sees it, the face that is meant, and another identity that it resembles as well."""

    answer: FacesAnswer
    face: FaceAnswer
    rival: int | None


class References:
    """Reference pictures: added, listed, and tidied away."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        pool: EmbedderPool,
        folder: ReferenceFolder,
        rival: Rival,
        clock: Callable[[], datetime],
        *,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._store = store
        self._settings = settings
        self._pool = pool
        self._folder = folder
        self._rival = rival
        self._clock = clock
        self._answer_seconds = answer_seconds

    async def add(
        self,
        picture: bytes,
        person: int | NewPerson,
        author: Author,
        *,
        box: Box | None = None,
        keeps_original: bool = False,
        key: Key | None = None,
        after: int | None = None,
    ) -> AddedReference | None:
        """
        Add a picture of a person; ``box``: which of its faces. None when another decision followed ``after``.

        ``ItemError``: no picture, or none with a face. ``SeveralFacesError``: the box is missing, or leads to no face.
        ``TransientError``: no embedder answers now. ``SetupError``: its vectors cannot be compared with the library's.
        """
        if key is not None and (known := await self._store.read(references.added_under, key)) is not None:
            return known
        looked = await self._look(picture, person, box)
        async with self._folder.turn:
            try:
                kept = await compute(
                    lambda: self._folder.keep(picture, looked.answer, looked.face, keeps_original=keeps_original)
                )
                sent = SentReference(kept, looked.answer.space, looked.face, looked.rival)
                done = await self._store.write(
                    references.add_reference, sent, person, author, self._clock(), key=key, after=after
                )
            finally:  # files of a picture that was refused, or is here already
                await remove_leftovers(self._store, self._folder)
        if done is not None:
            log.info("reference_added", reference=done.reference, is_open=done.rival is not None)
        return done

    async def preview(self, picture: bytes, person: int | NewPerson, *, box: Box | None = None) -> PreviewedReference:
        """Return what ``add`` would do, with its errors; nothing is kept."""
        looked = await self._look(picture, person, box)
        kept, _ = await compute(without_files, picture, looked.face)
        sent = SentReference(kept, looked.answer.space, looked.face, looked.rival)
        return await self._store.read(references.preview_reference, sent, person)

    async def _look(self, picture: bytes, person: int | NewPerson, box: Box | None) -> _Looked:
        """Have a picture embedded, and return the face that is meant."""
        request = FacesRequest(crop=DISPLAY, face_short=self._settings.min_face_short)
        answer = await faces_within(self._pool, picture, request, self._answer_seconds)
        face = chosen_face(answer.faces, box)
        active = await self._store.read(spaces.active_space)
        refuse_other_space(answer.space, active or answer.space)
        return _Looked(answer, face, await self._rival(face, answer.space, person if isinstance(person, int) else None))

    async def of_identity(self, number: int) -> list[StoredReference]:
        """Return the pictures of an identity, and those that are asked about."""
        return await self._store.read(references.references_of, number)

    async def last_decision(self) -> int:
        """Return the id of the last decision, for a caller that adds only when none follows."""
        return await self._store.read(decisions.last_id)


def chosen_face(faces: Sequence[FaceAnswer], box: Box | None) -> FaceAnswer:
    """Return the face at a box, or the only one; ``ItemError`` where there is none, ``SeveralFacesError`` where it is not said."""
    if not faces:
        raise ItemError(
            "no face was found in this picture: send one on which the face is larger, sharper or less covered",
            reason="no_face",
        )
    ordered = sorted(faces, key=lambda face: -face.face_box().area)
    if box is None and len(faces) == 1:
        return faces[0]
    overlap, place = max(
        ((box.iou(face.face_box()), -place) for place, face in enumerate(ordered) if box is not None),
        default=(0.0, 0),
    )
    if overlap < SAME_FACE_IOU:
        raise SeveralFacesError([face.face_box() for face in ordered])
    return ordered[-place]


async def remove_leftovers(store: Store, folder: ReferenceFolder) -> None:
    """Remove the files that no reference picture needs; the caller holds the folder's turn."""
    needed = await store.read(reference_pictures.reference_files)
    await compute(folder.tidy, needed)


async def tidy_references(store: Store, folder: ReferenceFolder) -> None:
    """Remove the files that no reference picture needs: after one was deleted, and what a kill left at the next start."""
    async with folder.turn:
        await remove_leftovers(store, folder)


async def files_left(store: Store, folder: ReferenceFolder) -> str:
    """Remove the files of deleted reference pictures; return why some are left, empty when none is."""
    try:
        await tidy_references(store, folder)
    except FacesetsError as error:
        log.warning("reference_files_left", message=str(error))
        return f"decided, but files of reference pictures may be there still: {error}. The next start removes them"
    return ""

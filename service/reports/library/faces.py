"""Questions about single faces, and the search for people and pictures."""

import re
from collections.abc import Sequence

from immich_facesets.moderation.decisions import FaceRef
from service.reports.library.known_figures import KnownFigures
from service.reports.library.shown import shown_decision, shown_face, shown_identity, shown_places
from service.store.browsing.finding import FoundPicture, pictures_by_date, pictures_by_file_name
from service.store.browsing.identity_details import survivor
from service.store.browsing.identity_faces import browsed_faces
from service.store.browsing.identity_lists import IdentityFilter, identity_page, shown_labels
from service.store.browsing.made_decisions import MadeDecision, decisions_about_face
from service.store.browsing.slices import Slice
from service.store.reading import Reader
from service.web.library import faces as shown
from service.web.library.addresses import picture_address

_RIVALS, _DECISIONS = 5, 50
_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?")


class FaceReads:
    """The answers about faces and pictures. ``base``: the base path of addresses."""

    def __init__(self, store: Reader, figures: KnownFigures, base: str) -> None:
        self._store = store
        self._figures = figures
        self._base = base

    async def one(self, face_id: int) -> shown.FaceAnswer | None:
        row = (await self._store.read(browsed_faces, [face_id])).get(face_id)
        if row is None:
            return None
        ref = FaceRef(row.face.sha256, row.face.box)
        made = await self._store.read(decisions_about_face, ref, limit=_DECISIONS)
        labels = {} if row.identity is None else await self._figures.read(shown_labels)
        return shown.FaceAnswer(
            face=shown_face(row, self._base),
            label=None if row.identity is None else labels.get(row.identity),
            rivals=await self._figures.near_face(face_id, row.identity, _RIVALS),
            decisions=tuple(map(shown_decision, made)),
            for_sets=await self._for_sets(made, row.identity),
        )

    async def _for_sets(self, made: Sequence[MadeDecision], identity: int | None) -> shown.ForSets:
        """Return what the latest decision about the face says of face sets; ``made``: newest first."""
        latest = next((one for one in made if one.kind in {"for_sets", "not_for_sets"} and not one.is_undone), None)
        if latest is None or not latest.body["is_on"]:
            return ""
        if latest.kind == "not_for_sets":
            return "left_out"
        return "included" if identity == await self._store.read(survivor, latest.body["identity"]) else ""

    async def search(self, query: shown.SearchQuery) -> shown.SearchAnswer:
        text = query.q.strip()
        if not text:
            return shown.SearchAnswer(identities=(), by_date=(), by_file_name=())
        people = await self._store.read(
            identity_page, IdentityFilter(text=text), "faces", Slice(query.limit), self._figures.kept
        )
        is_date = _DATE.fullmatch(text) is not None and text.isascii()
        dated = await self._store.read(pictures_by_date, text, limit=query.limit) if is_date else []
        named = await self._store.read(pictures_by_file_name, text, limit=query.limit)
        return shown.SearchAnswer(
            identities=tuple(shown_identity(row, self._base) for row in people.page.items),
            by_date=tuple(_shown_picture(one, self._base) for one in dated),
            by_file_name=tuple(_shown_picture(one, self._base) for one in named),
        )


def _shown_picture(found: FoundPicture, base: str) -> shown.FoundPicture:
    faces = tuple(shown.PictureFace(id=face, identity=identity) for face, identity in found.faces)
    address = picture_address(base, found.sha256)
    return shown.FoundPicture(sha256=found.sha256, address=address, places=shown_places(found.places), faces=faces)

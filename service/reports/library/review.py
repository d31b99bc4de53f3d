"""The review queue: each question with the faces to compare, and the requests for its answers."""

from immich_facesets.dates import completed_years, read_date
from immich_facesets.review.answers import answers_of, question_of
from service.reports.library.shown import shown_face, slice_of
from service.store.browsing.kept import Kept
from service.store.browsing.review_page import QueuedItem, review_page
from service.store.browsing.review_page import ReviewPage as StoredPage
from service.store.database import Store
from service.store.named_values import GUARDRAILS, read_value
from service.web.cursors import encode_cursor
from service.web.library import review as shown
from service.web.library.addresses import reference_address


class ReviewReads:
    """The answers about the review queue. ``base``: the base path of addresses; ``kept``: what the reader keeps."""

    def __init__(self, store: Store, base: str, kept: Kept | None = None) -> None:
        self._store = store
        self._kept = kept
        self._base = base

    async def page(self, query: shown.ReviewQuery) -> shown.ReviewPage:
        order = f"review {query.kind or ''}"
        found = await self._store.read(review_page, slice_of(query, order), query.kind, self._kept)
        return shown.ReviewPage(
            items=tuple(self._shown(one, found) for one in found.page.items),
            total=found.total,
            guardrails=tuple(await self._store.read(read_value, GUARDRAILS) or ()),
            next=encode_cursor(order, found.page.last),
        )

    def _shown(self, queued: QueuedItem, found: StoredPage) -> shown.ReviewItem:
        item = queued.item
        evidence = (*(item.evidence or ()), *((),) * (len(item.identities) + len(item.parts)))
        born = found.births.get(item.identities[0]) if item.identities else None
        face = None if item.face_id is None else found.faces.get(item.face_id)
        return shown.ReviewItem(
            id=queued.number,
            kind=item.kind,
            reason=item.reason,
            question=question_of(item),
            probability=item.probability,
            benefit=round(item.benefit, 4),
            settles=item.settles,
            is_exported=item.is_exported,
            comes_last=queued.comes_last,
            identities=tuple(
                self._identity(number, size, faces, found)
                for number, size, faces in zip(item.identities, item.faces, evidence, strict=False)
            ),
            parts=tuple(
                shown.ReviewedPart(faces=len(part), evidence=self._evidence(faces, born, found))
                for part, faces in zip(item.parts, evidence[len(item.identities) :], strict=False)
            ),
            face=None if face is None else shown_face(face, self._base),
            ages=() if face is None else tuple(_age(found.births.get(one), face.taken) for one in item.identities),
            reference=self._reference(item.reference, found),
            answers=answers_of(item, found.labels),
        )

    def _reference(self, reference: int | None, found: StoredPage) -> shown.ReviewedReference | None:
        if reference is None or reference not in found.references:
            return None
        return shown.ReviewedReference(id=reference, display=reference_address(self._base, found.references[reference]))

    def _identity(self, number: int, size: int, faces: tuple[int, ...], found: StoredPage) -> shown.ReviewedIdentity:
        first, last = found.days.get(number, (None, None))
        born = found.births.get(number)
        return shown.ReviewedIdentity(
            number=number,
            label=found.labels.get(number),
            faces=size,
            birth_date=born,
            first_date=first,
            last_date=last,
            evidence=self._evidence(faces, born, found),
        )

    def _evidence(self, faces: tuple[int, ...], born: str | None, found: StoredPage) -> tuple[shown.EvidenceFace, ...]:
        return tuple(
            shown.EvidenceFace(face=shown_face(row, self._base), age=_age(born, row.taken))
            for face in faces
            if (row := found.faces.get(face)) is not None
        )


def _age(born: str | None, taken: str) -> int | None:
    birthday, day = read_date(born), read_date(taken)
    return None if birthday is None or day is None else completed_years(birthday, day)

"""The questions about reference pictures: whose each is that two identities match. Parts of larger transactions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select

from immich_facesets.faces import Box
from immich_facesets.moderation.constraints import Constraints
from immich_facesets.moderation.decisions import FaceRef, Part
from immich_facesets.moderation.steps import MOST_ANCHORS
from immich_facesets.review.evidence import MOST_FACES
from immich_facesets.review.items import Item
from immich_facesets.review.reference_questions import OpenReference, question_about
from immich_facesets.review.settling import Settled
from service.store.decisions import constraints_now
from service.store.reference_pictures import KeptPicture, picture_of
from service.store.spaces import active_space
from service.store.tables import faces, memberships, reference_pictures, review_items


def open_references(tx: Connection, decided: Constraints) -> list[OpenReference]:
    """Return the pictures of which no decision says whose they are, by id, with the identities as they are now."""
    rows = tx.execute(select(reference_pictures).order_by(reference_pictures.c.reference_id))
    return [_open(row, decided) for row in rows if row.digest not in decided.references]


def _open(row: Any, decided: Constraints) -> OpenReference:
    numbers = [decided.current(one) for one in (row.sent_for, row.rival) if one is not None]
    return OpenReference(row.reference_id, tuple(dict.fromkeys(one for one in numbers if one not in decided.forgotten)))


@dataclass(frozen=True, slots=True)
class UndecidedPicture:
    """A picture of nobody, for an export. ``members``: faces of the identities that it was sent for and resembles."""

    picture: KeptPicture
    sent_for: int
    rival: int | None
    made_at: datetime
    members: tuple[Part, ...]


def undecided_pictures(tx: Connection) -> list[UndecidedPicture]:
    """Return the pictures of which no decision says whose they are, by id."""
    decided = constraints_now(tx, active_space(tx) or "")
    rows = {row.reference_id: row for row in tx.execute(select(reference_pictures))}
    found = []
    for one in open_references(tx, decided):
        row, (sent_for, rival) = rows[one.reference], (*one.identities, None, None)[:2]
        if sent_for is not None:
            parts = tuple(part for number in one.identities if (part := _members(tx, number)).faces)
            found.append(UndecidedPicture(picture_of(row), sent_for, rival, row.made_at, parts))
    return found


def _members(tx: Connection, number: int) -> Part:
    """Return as many faces of an identity as a decision records, the nearest to its centre."""
    rows = tx.execute(
        select(faces)
        .join(memberships, memberships.c.face_id == faces.c.face_id)
        .where(memberships.c.identity == number)
        .order_by(memberships.c.distance, faces.c.face_id)
        .limit(MOST_ANCHORS)
    )
    return Part(number, tuple(FaceRef(row.sha256, Box(row.x1, row.y1, row.x2, row.y2)) for row in rows))


def ask_about_open(tx: Connection, settled: Settled) -> None:
    """Add the questions about pictures of nobody that are not asked, with the members nearest to the centres."""
    asked = set(tx.scalars(select(review_items.c.reference_id).where(review_items.c.reference_id.is_not(None))))
    for one in open_references(tx, settled.constraints):
        item = question_about(one, tuple(_size(tx, number) for number in one.identities))
        if one.reference not in asked and one.identities and not settled.leaves(item):
            _ask(tx, item, comes_last=settled.comes_last(item))


def _ask(tx: Connection, item: Item, *, comes_last: bool) -> None:
    first, second = (*item.identities, None)[:2]
    tx.execute(
        insert(review_items).values(
            key=item.key,
            kind=item.kind,
            reason=item.reason,
            identity=first,
            other=second,
            reference_id=item.reference,
            part=[],
            sizes=list(item.faces),
            probability=item.probability,
            settles=item.settles,
            is_exported=True,
            benefit=item.benefit,
            comes_last=comes_last,
            basis=0,
            evidence=[_nearest(tx, number) for number in item.identities],
        )
    )


def _size(tx: Connection, number: int) -> int:
    return tx.scalar(select(func.count()).where(memberships.c.identity == number)) or 0


def _nearest(tx: Connection, number: int) -> Sequence[int]:
    rows = select(memberships.c.face_id).where(memberships.c.identity == number)
    return list(tx.scalars(rows.order_by(memberships.c.distance, memberships.c.face_id).limit(MOST_FACES)))

"""The questions about reference pictures: whose each is that two identities match. Parts of larger transactions."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, func, insert, select

from immich_facesets.moderation.constraints import Constraints
from immich_facesets.review.evidence import MOST_FACES
from immich_facesets.review.items import Item
from immich_facesets.review.reference_questions import OpenReference, question_about
from immich_facesets.review.settling import Settled
from service.store.tables import memberships, reference_pictures, review_items


def open_references(tx: Connection, decided: Constraints) -> list[OpenReference]:
    """Return the pictures of which no decision says whose they are, by id, with the identities as they are now."""
    rows = tx.execute(select(reference_pictures).order_by(reference_pictures.c.reference_id))
    return [_open(row, decided) for row in rows if row.digest not in decided.references]


def _open(row: Any, decided: Constraints) -> OpenReference:
    numbers = [decided.current(one) for one in (row.sent_for, row.rival) if one is not None]
    return OpenReference(row.reference_id, tuple(dict.fromkeys(one for one in numbers if one not in decided.forgotten)))


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

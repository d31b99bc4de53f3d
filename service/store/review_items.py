"""The review queue: written by every grouping, and followed by every decision."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, or_, select, update

from immich_facesets.moderation.constraints import Constraints
from immich_facesets.moderation.facts import Facts
from immich_facesets.review.answered import AnsweredQuestion, named_faces
from immich_facesets.review.items import Item
from immich_facesets.review.reference_questions import OpenReference
from immich_facesets.review.settling import Settled
from service.store import named_values
from service.store.chunks import chunks
from service.store.decisions import constraints_now
from service.store.reference_pictures import ids_of
from service.store.reference_questions import ask_about_open, open_references
from service.store.spaces import active_space
from service.store.tables import faces, identities, memberships, review_items


@dataclass(frozen=True, slots=True)
class StoredQueue:
    """
    The stored items by key, and what else a new queue depends on beside the grouping.

    ``never_exported``: identities. ``settled``: the decisions. ``references``: the reference pictures to ask about.
    """

    items: Mapping[str, Item]
    never_exported: frozenset[int]
    settled: Settled
    references: tuple[OpenReference, ...]


def stored_queue(tx: Connection) -> StoredQueue:
    """Return the stored queue, for the next one."""
    items = {row.key: item_of(row) for row in tx.execute(select(review_items))}
    hidden = tx.scalars(select(identities.c.number).where(identities.c.never_export.is_(True)))
    settled = _settled(tx)
    references = tuple(open_references(tx, settled.constraints))
    return StoredQueue(items, frozenset(hidden), settled, references)


def write_queue(tx: Connection, found: Sequence[Item]) -> int:
    """
    Replace the queue by these items, without those that decisions settle: the commit point of the queue.

    Only rows that differ are written. Return how many items there are.
    """
    settled = _settled(tx)
    before = {row.key: row for row in tx.execute(select(review_items))}
    there = _faces_there(tx, {item.face_id for item in found if item.face_id is not None})
    asked = {one.reference for one in open_references(tx, settled.constraints)}
    left = (item for item in found if item.face_id is None or item.face_id in there)
    left = (item for item in left if item.reference is None or item.reference in asked)
    items = {item.key: item for item in left if not settled.leaves(item)}
    gone = [before[key].item_id for key in before.keys() - items.keys()]
    for some in chunks(sorted(gone)):
        tx.execute(delete(review_items).where(review_items.c.item_id.in_(some)))
    new = [_row(item, settled, None) for key, item in items.items() if key not in before]
    if new:
        tx.execute(insert(review_items), new)
    for key in sorted(items.keys() & before.keys()):
        row = _row(items[key], settled, before[key])
        if any(getattr(before[key], name) != value for name, value in row.items()):
            tx.execute(update(review_items).where(review_items.c.item_id == before[key].item_id).values(**row))
    return len(items)


def ask_open_references(tx: Connection) -> None:
    """Add the questions about reference pictures of nobody that are not asked. Part of a larger transaction."""
    ask_about_open(tx, _settled(tx))


def settle_questions(tx: Connection, before: Facts, after: Facts, moved: Collection[int]) -> None:
    """
    Remove the items that decisions settle, of those that mention what these touched, and move those put off to the end.

    Items that earlier decisions settled come back where these are taken back, with the number that they had. ``moved``:
    faces that changed. An answer to a question about a mixed identity names its evidence, so it goes with that.
    """
    settled = _settled_by(tx, after.constraints)
    rows = _rows_about(tx, after)
    touched = frozenset(moved)
    gone = {number for number, row in rows.items() if _is_touched(row, touched) or settled.leaves(item_of(row))}
    for some in chunks(sorted(gone)):
        tx.execute(delete(review_items).where(review_items.c.item_id.in_(some)))
    for number in sorted(rows.keys() - gone):
        comes_last = settled.comes_last(item_of(rows[number]))
        if comes_last != rows[number].comes_last:
            tx.execute(update(review_items).where(review_items.c.item_id == number).values(comes_last=comes_last))
    were = {face: before.faces[face].identity for face in touched}
    _ask_again(tx, settled, {number: item_of(rows[number]) for number in gone}, were)
    ask_about_open(tx, settled)


def _rows_about(tx: Connection, after: Facts) -> dict[int, Any]:
    """Return the rows of the items that mention these identities or faces, and of those about nobody."""
    rows: dict[int, Any] = {}
    for some in chunks(sorted(after.identities)):
        about = or_(review_items.c.identity.in_(some), review_items.c.other.in_(some))
        rows |= {row.item_id: row for row in tx.execute(select(review_items).where(about))}
    for some in chunks(sorted(after.faces)):
        rows |= {row.item_id: row for row in tx.execute(select(review_items).where(review_items.c.face_id.in_(some)))}
    of_nobody = select(review_items).where(review_items.c.identity.is_(None))
    return rows | {row.item_id: row for row in tx.execute(of_nobody)}


def _ask_again(tx: Connection, settled: Settled, gone: Mapping[int, Item], were: Mapping[int, int | None]) -> None:
    """
    Keep the items that went, and bring back what nothing settles any more and whose faces are where they were.

    ``gone``: by number. ``were``: the identities of the faces that changed, before.
    """
    known = named_values.read_answered(tx)
    owners = _owners(tx, {face for one in gone.values() for face in named_faces(one)}) | dict(were)
    new = [
        AnsweredQuestion(number, item, tuple((face, owners.get(face)) for face in sorted(named_faces(item))))
        for number, item in sorted(gone.items())
    ]
    asked = {one.reference for one in open_references(tx, settled.constraints)}
    left = [one for one in (*known, *new) if not settled.leaves(one.item)]
    left = [one for one in left if one.item.reference is None or one.item.reference in asked]
    owners = _owners(tx, {face for one in left for face, _ in one.owners})
    back = {one.item.key: one for one in left if one.owners and one.holds(owners)}
    there = set[str]()
    for some in chunks(sorted(back)):
        there |= set(tx.scalars(select(review_items.c.key).where(review_items.c.key.in_(some))))
    for one in back.values():
        if one.item.key not in there:
            tx.execute(insert(review_items).values(item_id=one.number, **_row(one.item, settled, None)))
    if new or back:
        named_values.write_answered(tx, [one for one in (*known, *new) if one.item.key not in back])


def _owners(tx: Connection, face_ids: Collection[int]) -> dict[int, int | None]:
    """Return the identity of each of these faces that is there in the space in use, None of one of nobody."""
    found, space = dict[int, int | None](), active_space(tx) or ""
    for some in chunks(sorted(face_ids)):
        rows = select(faces.c.face_id, memberships.c.identity).outerjoin(
            memberships, memberships.c.face_id == faces.c.face_id
        )
        found |= {
            row.face_id: row.identity
            for row in tx.execute(rows.where(faces.c.space == space, faces.c.face_id.in_(some)))
        }
    return found


def _is_touched(row: Any, touched: frozenset[int]) -> bool:
    shown = [face for faces in row.evidence for face in faces] if row.kind == "mixed" else []
    return row.face_id in touched or not touched.isdisjoint((*row.part, *shown))


def item_of(row: Any) -> Item:
    """Return the item of a row."""
    return Item(
        kind=row.kind,
        reason=row.reason,
        identities=tuple(number for number in (row.identity, row.other) if number is not None),
        faces=tuple(row.sizes),
        probability=row.probability,
        settles=row.settles,
        face_id=row.face_id,
        reference=row.reference_id,
        part=tuple(row.part),
        is_exported=row.is_exported,
        basis=row.basis,
        evidence=tuple(tuple(faces) for faces in row.evidence),
    )


def _row(item: Item, settled: Settled, before: Any) -> dict[str, Any]:
    """Return the columns of an item; an item without evidence keeps that of the row before."""
    identity, other = (*item.identities, None, None)[:2]
    row = {
        "key": item.key,
        "kind": item.kind,
        "reason": item.reason,
        "identity": identity,
        "other": other,
        "face_id": item.face_id,
        "reference_id": item.reference,
        "part": list(item.part),
        "sizes": list(item.faces),
        "probability": item.probability,
        "settles": item.settles,
        "is_exported": item.is_exported,
        "benefit": item.benefit,
        "comes_last": settled.comes_last(item),
        "basis": item.basis,
    }
    if item.evidence is not None:
        return row | {"evidence": [list(faces) for faces in item.evidence]}
    if before is not None:
        return row
    return row | {"evidence": [], "basis": 0}  # removed and found again meanwhile: chosen by the next grouping


def _faces_there(tx: Connection, face_ids: Collection[int]) -> frozenset[int]:
    """Return those of these faces that are there: one may have been erased since the grouping looked."""
    found: set[int] = set()
    for some in chunks(sorted(face_ids)):
        found |= set(tx.scalars(select(faces.c.face_id).where(faces.c.face_id.in_(some))))
    return frozenset(found)


def _settled(tx: Connection) -> Settled:
    return _settled_by(tx, constraints_now(tx, active_space(tx) or ""))


def _settled_by(tx: Connection, decided: Constraints) -> Settled:
    locked = tx.scalars(select(identities.c.number).where(identities.c.is_locked.is_(True)))
    return Settled(decided, list(locked), ids_of(tx, decided.references))

"""Changes of eras as decisions: made with the eras that they lead to, and followed when one is undone or done again."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, select

from immich_facesets.eras import DecidedEras, EditedEras, follow_away, placed_faces, places_of
from immich_facesets.errors import RequestError
from immich_facesets.faces import Box
from immich_facesets.moderation.active_decisions import undone_ids
from immich_facesets.moderation.decisions import EraFace, Eras, FaceRef, Part, Undo
from immich_facesets.moderation.era_pins import EraPin, EraSpan, groups_of
from immich_facesets.moderation.facts import Facts
from immich_facesets.moderation.records import Author, Record
from immich_facesets.moderation.steps import evenly
from service.store.chunks import chunks
from service.store.decisions import record_batch
from service.store.era_pins import Places, face_at, member_pins, member_places, pins_now
from service.store.eras import EraVersion, StoredEras, record_eras, write_eras, written_eras
from service.store.spaces import active_space
from service.store.tables import faces, memberships


@dataclass(frozen=True, slots=True)
class EraEdit:
    """
    A change of the eras of one identity by hand: what was asked for, and the eras before and after it.

    ``names``: the eras that it is about; ``name``: the one that it gives. ``leaves`` and ``moved`` as in ``record_eras``.
    """

    change: Literal["split", "rename", "merge"]
    before: StoredEras
    after: StoredEras
    names: tuple[str, ...] = ()
    name: str | None = None
    leaves: frozenset[int] = frozenset()
    moved: tuple[tuple[str, str], ...] = ()


def decide_eras(tx: Connection, identity: int, edit: EraEdit, author: Author, now: datetime) -> tuple[int, ...] | None:
    """
    Write eras that a person changed, with the decision: the commit point of such changes. Return its id.

    None, and nothing is written, when the eras were changed since they were read. A change that moves nothing is no decision.
    """
    after = edit.after.version
    if after is None:
        return ()
    away = _away(tx, identity)
    is_written = record_eras(
        tx,
        identity,
        edit.after.eras,
        leaves=edit.leaves,
        before=edit.before.version,
        version=after,
        now=now,
        moved=dict(edit.moved),
    )
    if not is_written:
        return None
    decision = _decision(tx, identity, edit, away)
    if decision is None:
        return ()
    members = tuple(
        _refs(tx, tx.scalars(select(memberships.c.face_id).where(memberships.c.identity == identity))).values()
    )
    return record_batch(tx, [(decision, [Part(identity, tuple(evenly(members)))])], author, now)


def _away(tx: Connection, identity: int) -> dict[int, EraPin]:
    """Return the places in eras of an identity that faces have that are away from it now."""
    here = written_eras(tx, identity).get(identity, StoredEras())
    kept = written_eras(tx, identity, away_in=active_space(tx)).get(identity, StoredEras())
    members = {face for era in here.eras for face in era.face_ids}
    basis = "" if kept.version is None else kept.version.basis
    return {face: pin for face, pin in places_of(kept.eras, basis).items() if face not in members}


def _decision(tx: Connection, identity: int, edit: EraEdit, away: Mapping[int, EraPin]) -> Eras | None:
    """Return the decision of a change; None of a split that moves no face."""
    basis = (edit.before.version or edit.after.version or EraVersion("", "")).basis
    after = basis if edit.after.version is None else edit.after.version.basis
    was, now = places_of(edit.before.eras, basis), places_of(edit.after.eras, after)
    if was == now:
        if edit.change == "split":
            return None
        raise RequestError("no face is in these eras now, so there is nothing to change")
    follow_away(was, now, away, EditedEras(edit.after.eras, dict(edit.moved)), after)
    spans, placed = placed_faces(was, now, pins_now(tx, identity).get(identity, {}))
    refs = _refs(tx, placed)
    faces_in = tuple(EraFace(refs[face], *places) for face, places in placed.items() if face in refs)
    return Eras(identity, edit.change, spans, faces_in, edit.names, edit.name)


def _refs(tx: Connection, face_ids: Iterable[int]) -> dict[int, FaceRef]:
    found: dict[int, FaceRef] = {}
    for some in chunks(sorted(face_ids)):
        for row in tx.execute(select(faces).where(faces.c.face_id.in_(some)).order_by(faces.c.face_id)):
            found[row.face_id] = FaceRef(row.sha256, Box(row.x1, row.y1, row.x2, row.y2))
    return found


def write_decided_eras(tx: Connection, before: Facts, after: Facts, now: datetime) -> None:
    """
    Let the eras of identities follow decisions that were undone, done again, imported or brought by a merge.

    A part of a larger transaction: members are as they are afterwards. The next sync finds the eras of an identity that was never looked at.
    """
    for number, stored, edited in _followed(tx, before, after):
        if stored.version is None or (edited.eras == stored.eras and not edited.moved):
            continue
        faces_now = {face for era in edited.eras for face in era.face_ids}
        leaves = {face for era in stored.eras for face in era.face_ids} - faces_now
        digest = f"decision {max(after.records, default=0)}"  # a publish that runs has planned without it
        version = EraVersion(stored.version.basis, digest)
        write_eras(tx, number, edited.eras, leaves=leaves, version=version, now=now, moved=edited.moved)


def refuse_unclear(tx: Connection, before: Facts, after: Facts) -> None:
    """Raise a ``RequestError`` where an undo, or a redo, would mix eras with those of later changes."""
    undone = undone_ids({number: one.decision for number, one in after.records.items()})
    roots = [_root(one, after) for number, one in after.records.items() if number not in before.records]
    made = {one.decision_id: one.decision for one in roots if isinstance(one.decision, Eras)}
    if not made:
        return
    known = {number: (stored, edited) for number, stored, edited in _followed(tx, before, after)}
    for decision_id, decision in made.items():
        groups = list(groups_of(decision, is_undone=decision_id in undone))
        for number, (stored, edited) in known.items():
            _refuse(decision_id, number, groups, member_places(tx, number), stored, edited)


def _refuse(
    decision_id: int,
    number: int,
    groups: Sequence[tuple[EraSpan, Sequence[FaceRef]]],
    at: Places,
    stored: StoredEras,
    edited: EditedEras,
) -> None:
    found = [(span, {face for ref in refs if (face := face_at(at, ref)) is not None}) for span, refs in groups]
    here = [(span, faces_here) for span, faces_here in found if faces_here]
    basis = None if stored.version is None else stored.version.basis
    if basis is not None and here and all(span.basis != basis for span, _ in here):
        raise RequestError(
            f"decision {decision_id} is about eras that are divided in another way now: change the present ones instead"
        )
    members = {face for places in at.values() for face, _ in places}
    for _, faces_here in here:
        names = {era.name for era in edited.eras if era.face_ids & faces_here}
        if len(names) > 1:
            raise RequestError(
                f"later decisions moved a part of what decision {decision_id} is about: undo those first "
                f"('decisions list --identity {number}')"
            )
        taken = [
            era for era in stored.eras if era.name in names and era.face_ids & members and not era.face_ids & faces_here
        ]
        if taken:
            raise RequestError(f"another era is called {taken[0].name} since: give that one another name first")


def _followed(tx: Connection, before: Facts, after: Facts) -> Iterator[tuple[int, StoredEras, EditedEras]]:
    """Yield each identity that a step touches and decisions hold faces in eras of, with the eras of now and afterwards."""
    old, new = before.constraints, after.constraints
    pinned = {one for decided in (old, new) for number in decided.eras for one in (number, decided.current(number))}
    changed = {one for one in pinned if old.eras_of(one) != new.eras_of(one)}
    owners = (face.identity for face_id, face in after.faces.items() if face.identity != before.faces[face_id].identity)
    numbers = {new.current(one) for one in changed} | {one for one in owners if one in pinned}
    if not numbers:
        return
    space = active_space(tx)
    pins = member_pins(tx, new, numbers, away_in=space)
    held = member_pins(tx, old, map(new.current, changed), away_in=space)
    for number in sorted(numbers):
        stored = written_eras(tx, number, away_in=space).get(number, StoredEras())
        basis = "" if stored.version is None else stored.version.basis
        mine = pins.get(number, {})
        released = frozenset(held.get(number, {}).keys() - mine.keys())
        yield number, stored, DecidedEras(mine, basis, released).over(stored.eras)


def _root(record: Record, facts: Facts) -> Record:
    """Return the decision that a chain of undos is about."""
    while isinstance(record.decision, Undo):
        record = facts.records[record.decision.decision]
    return record

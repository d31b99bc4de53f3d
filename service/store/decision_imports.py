"""Decisions from an export: appended with who made them and when, and applied, in one transaction."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, exists, select

from immich_facesets.faces import Box
from immich_facesets.moderation.decisions import (
    FaceRef,
    Forget,
    Label,
    Part,
    ReferencePicture,
    Undo,
    faces_in,
    faces_in_eras,
    numbers_in,
)
from immich_facesets.moderation.erasing import Forgotten, digest_of, faces_at, imported_mark, without_person
from immich_facesets.moderation.importing import (
    recorded_faces,
    renumbered,
    renumbered_parts,
    shared_numbers,
    translation,
)
from immich_facesets.moderation.open_pictures import OpenPicture, as_line
from immich_facesets.moderation.records import Line, Record
from immich_facesets.moderation.steps import facts_with
from immich_facesets.names import name_key
from service.store.decisions import Finder, all_records, record_decision
from service.store.erasing import forget_person
from service.store.forgotten import forgotten_in, forgotten_places, places_here
from service.store.identities import all_memberships
from service.store.imported_faces import IMPORTED
from service.store.moderation import apply_step, faces_in_pictures, facts_of
from service.store.reference_pictures import KeptPicture, ids_of, insert_picture
from service.store.review_items import ask_open_references
from service.store.runs import highest_number
from service.store.spaces import active_space
from service.store.tables import identities, imported_faces, memberships, people


class ImportedDecisions(msgspec.Struct, frozen=True):
    """
    How an import ended.

    ``known``: lines that were here already. ``renumbered``: pairs of a number there and here, where they differ.
    ``forgotten``: how many people were forgotten by that. ``open_pictures``: reference pictures that a review asks about.
    """

    added: int
    known: int
    renumbered: tuple[tuple[int, int], ...] = ()
    forgotten: int = 0
    open_pictures: int = 0


def import_decisions(
    tx: Connection,
    lines: Sequence[Line],
    now: datetime,
    pictures: Mapping[str, KeptPicture] = {},
    undecided: Sequence[OpenPicture] = (),
) -> ImportedDecisions:
    """
    Append the decisions that are not here yet, and apply them: the commit point of an import.

    ``pictures``: the reference pictures of the lines and of ``undecided``, whose files are there, by their digests.
    """
    before = {one.decision_id: one for one in all_records(tx)}
    new, numbers = _plan(tx, lines, before, undecided)
    ids = {one.uid: one.decision_id for one in before.values()}
    added: dict[int, Record] = {}
    for line in new:
        decision = renumbered(line.decision, numbers)
        if isinstance(decision, Undo):
            decision = Undo(ids[line.undoes or ""])
        if isinstance(decision, Forget):
            decision = _with_identities_here(tx, decision)
        members = renumbered_parts(line.members, numbers)
        ids[line.uid] = record_decision(
            tx,
            decision,
            made_by=line.made_by,
            now=line.made_at,
            made_from=line.made_from,
            reason=line.reason,
            uid=line.uid,
            batch=line.batch,
            members=members,
        )
        added[ids[line.uid]] = Record(
            ids[line.uid],
            line.uid,
            line.batch,
            decision,
            line.made_by,
            line.made_from,
            line.made_at,
            line.reason,
            members,
        )
    _add_pictures(tx, added, pictures)
    asked = _new_pictures(tx, [one for one in undecided if one.digest in pictures])
    for one in asked:
        rival = None if one.rival is None else numbers.get(one.rival)
        insert_picture(tx, pictures[one.digest], numbers[one.sent_for], one.made_at, rival=rival)
    forgets = {number: one.decision for number, one in added.items() if isinstance(one.decision, Forget)}
    _apply(tx, before, {number: one for number, one in added.items() if number not in forgets}, now)
    for number, forget in forgets.items():
        forget_person(tx, number, forget, now, further=places_here(tx, forget))
    if asked and active_space(tx) is not None:
        ask_open_references(tx)
    return _answer(lines, new, numbers, len(asked))


def _new_pictures(tx: Connection, undecided: Sequence[OpenPicture]) -> list[OpenPicture]:
    """Return the pictures of which nothing is here: neither a row, nor a decision, nor that their person was forgotten."""
    made = (one.decision for one in all_records(tx))
    decided = {one.digest for one in made if isinstance(one, ReferencePicture)}
    return [
        one
        for one in undecided
        if one.digest not in decided
        and not ids_of(tx, [one.digest])
        and not forgotten_in(tx, one.face.sha256, [one.face.box])
    ]


def _add_pictures(tx: Connection, added: Mapping[int, Record], pictures: Mapping[str, KeptPicture]) -> None:
    """Add the reference pictures of imported decisions that are not here; the next sync embeds them."""
    for one in added.values():
        made = one.decision
        if isinstance(made, ReferencePicture) and made.digest in pictures and not ids_of(tx, [made.digest]):
            insert_picture(tx, pictures[made.digest], made.identity, one.made_at)


def preview_import(tx: Connection, lines: Sequence[Line], undecided: Sequence[OpenPicture] = ()) -> ImportedDecisions:
    """Return what an import would add; nothing is written."""
    new, numbers = _plan(tx, lines, {one.decision_id: one for one in all_records(tx)}, undecided)
    return _answer(lines, new, numbers, len(_new_pictures(tx, undecided)))


def _answer(
    lines: Sequence[Line], new: Sequence[Line], numbers: Mapping[int, int], open_pictures: int
) -> ImportedDecisions:
    differing = tuple(sorted((there, here) for there, here in numbers.items() if there != here))
    forgotten = sum(isinstance(line.decision, Forget) for line in new)
    return ImportedDecisions(len(new), len(lines) - len(new), differing, forgotten, open_pictures)


def _plan(
    tx: Connection, lines: Sequence[Line], before: Mapping[int, Record], undecided: Sequence[OpenPicture]
) -> tuple[Sequence[Line], Mapping[int, int]]:
    """Return the lines that are not here, and the number here of each identity; before a first grouping no face tells it."""
    known = {one.uid: one for one in before.values()}
    new = _without_forgotten(tx, [line for line in lines if line.uid not in known])
    found = [_with_places(tx, line) for line in (*new, *map(as_line, undecided))]
    owner_of = _owners(tx, {ref for line in found for ref in _refs(line)})
    used = {*tx.scalars(select(identities.c.number)), *(n for one in before.values() for n in numbers_in(one.decision))}
    shared = shared_numbers(lines, known)
    return new, translation(found, owner_of, used, max([highest_number(tx), *used]) + 1, shared)


def _owners(tx: Connection, refs: Collection[FaceRef]) -> dict[FaceRef, int]:
    """Return the identity of each member face that one of these references leads to; none before a first grouping."""
    if (space := active_space(tx)) is None:
        return {}
    members, find = all_memberships(tx), Finder(tx, space, {ref.sha256 for ref in refs})
    return {ref: members[face] for ref in refs if (face := find(ref)) is not None and face in members}


def _mostly_at(tx: Connection, places: Collection[FaceRef]) -> list[int]:
    """Return the identities that have most of their faces at these places, the one with most faces there first."""
    there, sizes = Counter(_owners(tx, places).values()), Counter(all_memberships(tx).values())
    return [number for number, count in there.most_common() if 2 * count > sizes[number]]


def _with_places(tx: Connection, line: Line) -> Line:
    """Return a line; one that forgets a person has the faces here at its places, where these are most of an identity."""
    if not isinstance(line.decision, Forget):
        return line
    places = places_here(tx, line.decision)
    if not (best := _mostly_at(tx, places)[:1]):
        return line
    there = tuple(ref for ref, number in _owners(tx, places).items() if number in best)
    return msgspec.structs.replace(line, members=(Part(line.decision.identity, there),))


def _with_identities_here(tx: Connection, forget: Forget) -> Forget:
    """Return a decision that forgets every identity here that is mostly of the person, and what was merged into these."""
    places = places_here(tx, forget)
    numbers = {forget.identity, *forget.merged, *_mostly_at(tx, places), *_mostly_imported(tx, forget, places)}
    numbers |= set(tx.scalars(select(identities.c.number).where(identities.c.merged_into.in_(numbers))))
    return msgspec.structs.replace(forget, merged=tuple(sorted(numbers - {forget.identity})))


def _mostly_imported(tx: Connection, forget: Forget, places: Collection[FaceRef]) -> set[int]:
    """
    Return the identities without members whose faces, as another tool sorted them, are forgotten for the most part.

    Before a first grouping an identity has nothing but these.
    """
    by_content: dict[str, list[Box]] = {}
    for ref in places:
        by_content.setdefault(ref.sha256, []).append(ref.box)
    has_members = exists().where(memberships.c.identity == people.c.identity)
    rows: Any = tx.execute(
        select(imported_faces, people.c.identity)
        .join(people, and_(people.c.source == IMPORTED, people.c.person_id == imported_faces.c.person_id))
        .where(people.c.identity.is_not(None), ~has_members)
    )
    gone, sizes, marks = Counter[int](), Counter[int](), frozenset(forget.marks)
    for row in rows:
        sizes[row.identity] += 1
        boxes = [] if row.x1 is None else [Box(row.x1, row.y1, row.x2, row.y2)]
        is_marked = digest_of(forget.salt, imported_mark(row.face_key)) in marks
        gone[row.identity] += is_marked or bool(faces_at(by_content.get(row.sha256, ()), boxes))
    return {number for number, count in gone.items() if 2 * count > sizes[number]}


def _without_forgotten(tx: Connection, lines: Sequence[Line]) -> list[Line]:
    """Return the lines without the people who were forgotten here, as an export made before that has them."""
    places = forgotten_places(tx, {ref.sha256 for line in lines for ref in _refs(line)})
    if not places:
        return list(lines)

    def holds(ref: FaceRef) -> bool:
        return bool(faces_at(places.get(ref.sha256, ()), [ref.box]))

    numbers = frozenset(
        number for number, refs in recorded_faces(lines).items() if 2 * sum(map(holds, refs)) > len(refs)
    )
    labels = [line.decision for line in lines if isinstance(line.decision, Label)]
    texts = {text for one in labels if one.identity in numbers for text in (one.label, one.before) if text}
    who = Forgotten(numbers, holds, frozenset(map(name_key, texts)))
    return [without_person(line, who) for line in lines]


def _numbers(line: Line) -> set[int]:
    return {*numbers_in(line.decision), *(part.number for part in line.members)}


def _refs(line: Line) -> set[FaceRef]:
    members = (ref for part in line.members for ref in part.faces)
    return {*faces_in(line.decision), *faces_in_eras(line.decision), *members}


def _apply(tx: Connection, before: Mapping[int, Record], added: Mapping[int, Record], now: datetime) -> None:
    """Apply imported decisions to what is here; before the first grouping there is nothing, and that one applies them."""
    space = active_space(tx)
    if space is None or not added:
        return
    refs = {ref for one in added.values() for ref in faces_in(one.decision)}
    refs |= {ref for one in added.values() for part in one.members for ref in part.faces}
    found = faces_in_pictures(tx, space, {ref.sha256 for ref in refs})
    numbers = {number for one in added.values() for number in numbers_in(one.decision)}
    numbers |= {face.identity for face in found.values() if face.identity is not None}
    recorded = {ref.sha256 for one in before.values() for ref in faces_in(one.decision)}
    recorded |= {ref.sha256 for one in before.values() for part in one.members for ref in part.faces}
    resolve = Finder(tx, space, recorded | {ref.sha256 for ref in refs})
    facts = facts_of(tx, space, numbers, found, before, resolve)
    apply_step(tx, facts, facts_with(added, facts), now)

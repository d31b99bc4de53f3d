"""Decisions from an export: appended with who made them and when, and applied, in one transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from sqlalchemy import Connection, select

from immich_facesets.moderation.decisions import FaceRef, Undo, faces_in, numbers_in
from immich_facesets.moderation.importing import renumbered, renumbered_parts, shared_numbers, translation
from immich_facesets.moderation.records import Line, Record
from immich_facesets.moderation.steps import facts_with
from service.store.decisions import all_records, finder, record_decision
from service.store.identities import all_memberships
from service.store.moderation import apply_step, faces_in_pictures, facts_of
from service.store.runs import highest_number
from service.store.spaces import active_space
from service.store.tables import identities


class ImportedDecisions(msgspec.Struct, frozen=True):
    """
    How an import ended.

    ``known``: lines that were here already. ``renumbered``: pairs of a number there and here, where they differ.
    """

    added: int
    known: int
    renumbered: tuple[tuple[int, int], ...] = ()


def import_decisions(tx: Connection, lines: Sequence[Line], now: datetime) -> ImportedDecisions:
    """Append the decisions that are not here yet, and apply them: the commit point of an import."""
    before = {one.decision_id: one for one in all_records(tx)}
    new, numbers = _plan(tx, lines, before)
    ids = {one.uid: one.decision_id for one in before.values()}
    added: dict[int, Record] = {}
    for line in new:
        decision = renumbered(line.decision, numbers)
        if isinstance(decision, Undo):
            decision = Undo(ids[line.undoes or ""])
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
    _apply(tx, before, added, now)
    return _answer(lines, new, numbers)


def preview_import(tx: Connection, lines: Sequence[Line]) -> ImportedDecisions:
    """Return what an import would add; nothing is written."""
    new, numbers = _plan(tx, lines, {one.decision_id: one for one in all_records(tx)})
    return _answer(lines, new, numbers)


def _answer(lines: Sequence[Line], new: Sequence[Line], numbers: Mapping[int, int]) -> ImportedDecisions:
    differing = tuple(sorted((there, here) for there, here in numbers.items() if there != here))
    return ImportedDecisions(len(new), len(lines) - len(new), differing)


def _plan(
    tx: Connection, lines: Sequence[Line], before: Mapping[int, Record]
) -> tuple[Sequence[Line], Mapping[int, int]]:
    """Return the lines that are not here, and the number here of each identity; before a first grouping it is the same."""
    known = {one.uid: one for one in before.values()}
    new = [line for line in lines if line.uid not in known]
    mentioned = {number for line in new for number in _numbers(line)}
    shared = shared_numbers(lines, known)
    if (space := active_space(tx)) is None:
        return new, {number: number for number in mentioned} | shared
    refs = {ref for line in new for ref in _refs(line)}
    find, members = finder(tx, space, {ref.sha256 for ref in refs}), all_memberships(tx)
    owner_of = {ref: members[face] for ref in refs if (face := find(ref)) is not None and face in members}
    used = {*tx.scalars(select(identities.c.number)), *(n for one in before.values() for n in numbers_in(one.decision))}
    return new, translation(new, owner_of, used, max([highest_number(tx), *used]) + 1, shared)


def _numbers(line: Line) -> set[int]:
    return {*numbers_in(line.decision), *(part.number for part in line.members)}


def _refs(line: Line) -> set[FaceRef]:
    return {*faces_in(line.decision), *(ref for part in line.members for ref in part.faces)}


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
    facts = facts_of(tx, space, numbers, found, before, recorded | {ref.sha256 for ref in refs})
    apply_step(tx, facts, facts_with(added, facts), now)

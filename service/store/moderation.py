"""Decisions take effect: checked, appended and applied in one transaction, for commands, API and pages alike."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, insert, select

from immich_facesets.errors import SetupError
from immich_facesets.exports.registry import SWITCHABLE
from immich_facesets.faces import Box
from immich_facesets.moderation.decisions import (
    FaceRef,
    Forget,
    ReferencePicture,
    Undo,
    faces_in,
    kind_of,
    numbers_in,
)
from immich_facesets.moderation.effects import Effect, Erasure
from immich_facesets.moderation.facts import Facts, KnownFace, KnownIdentity, KnownReference
from immich_facesets.moderation.records import Author, Record
from immich_facesets.moderation.requests import (
    AssignReference,
    NewPerson,
    RedoDecision,
    RemoveReference,
    Request,
    UndoDecision,
    chosen_in,
    numbers_of,
    references_of,
)
from immich_facesets.moderation.steps import Step, take_step
from immich_facesets.moderation.undone_merges import merged_ever
from immich_facesets.names import name_key
from service.store.centroids import distances_to_centroids, nearest_identities
from service.store.chunks import chunks
from service.store.decided_members import attach_to, follow_settings, move_eras, write_members
from service.store.decisions import Finder, all_records, constraints_of, record_batch, whole_eras
from service.store.era_decisions import refuse_unclear, write_decided_eras
from service.store.erasing import forget_person, preview_erasure, refuse_named_reason
from service.store.former_members import forget_returned
from service.store.identities import labels
from service.store.reference_pictures import drop_pictures, ids_of, known_references
from service.store.review_items import settle_questions
from service.store.runs import highest_number
from service.store.selections import resolve_selections
from service.store.spaces import active_space
from service.store.tables import faces, identities, memberships, people, reference_pictures

_WITHOUT_FACES = (NewPerson, AssignReference, RemoveReference)
"""The requests that need no face of the library: a person may be known before the first sync."""


class MadeDecisions(msgspec.Struct, frozen=True):
    """
    The answer to requests: the decisions made (none by a preview), their kinds, and what they change.

    ``selected``: how many faces each selection has. ``erased``: what was erased of a person who was forgotten; None for
    all other decisions.
    """

    decisions: tuple[int, ...]
    kinds: tuple[str, ...]
    effect: Effect
    selected: tuple[int, ...] = ()
    erased: Erasure | None = None


def decide(tx: Connection, requests: Sequence[Request], author: Author, now: datetime) -> MadeDecisions:
    """
    Check, append and apply the decisions of these requests, as one step: the commit point of decisions.

    Raises a ``RequestError`` for the first request that asks for the impossible; nothing is changed then.
    """
    resolved, selected = resolve_selections(tx, requests, is_preview=False)
    before = _facts(tx, resolved)
    step = take_step(resolved, before)
    refuse_unclear(tx, before, step.facts)
    forget = _forget_in(step)
    if forget is not None and author.reason:
        refuse_named_reason(tx, forget, author.reason)
    ids = record_batch(tx, step.entries, author, now)
    if forget is not None:
        return MadeDecisions(ids, _kinds(step), step.effect, erased=forget_person(tx, ids[0], forget, now))
    apply_step(tx, before, step.facts, now)
    return MadeDecisions(ids, _kinds(step), step.effect, selected)


def preview_decisions(
    tx: Connection, requests: Sequence[Request], sent: Mapping[int, KnownReference] = {}
) -> MadeDecisions:
    """Return what ``decide`` would change; nothing is written. ``sent``: reference pictures without a row, by id."""
    resolved, selected = resolve_selections(tx, requests, is_preview=True)
    facts = _facts(tx, resolved)
    step = take_step(resolved, replace(facts, references={**facts.references, **sent}))
    refuse_unclear(tx, facts, step.facts)
    forget = _forget_in(step)
    erased = None if forget is None else preview_erasure(tx, forget)
    return MadeDecisions((), _kinds(step), step.effect, selected, erased)


def _forget_in(step: Step) -> Forget | None:
    """Return the decision to forget a person; it is alone in its step."""
    return next((decision for decision, _ in step.entries if isinstance(decision, Forget)), None)


def _kinds(step: Step) -> tuple[str, ...]:
    return tuple(kind_of(decision) for decision, _ in step.entries)


def apply_step(tx: Connection, before: Facts, after: Facts, now: datetime) -> None:
    """Write what lies between the facts before and after a step: numbers, members, people, eras and settings."""
    new = sorted(after.identities.keys() - set(tx.scalars(select(identities.c.number))))
    if new:
        tx.execute(insert(identities), [{"number": one, "origin": "asserted", "created_at": now} for one in new])
    owners = {
        face_id: face.identity
        for face_id, face in after.faces.items()
        if face.identity != before.faces[face_id].identity
    }
    how = {face_id: "decided" if face_id in after.constraints.must else "matched" for face_id in owners}
    write_members(tx, owners, distances_to_centroids(tx, owners, after), how)
    forget_returned(tx, [face_id for face_id, number in owners.items() if number is not None])
    attach_to(tx, {person: one.number for one in after.identities.values() for person in one.people})
    were = {face_id: before.faces[face_id].identity for face_id in owners}
    move_eras(tx, owners, were, after.constraints.merged, now)
    write_decided_eras(tx, before, after, now)
    follow_settings(tx, after.constraints, now)
    made = (one.decision for number, one in after.records.items() if number not in before.records)
    gone = {one.digest for one in made if isinstance(one, ReferencePicture) and not one.is_on}
    drop_pictures(tx, ids_of(tx, gone))
    settle_questions(tx, before, after, owners)


def _facts(tx: Connection, requests: Sequence[Request]) -> Facts:
    """Return the facts that these requests touch; of changes of eras, those of the people touched, and of all whom a merge ever joined with them, are whole."""
    space = active_space(tx) or ""
    if not space and not all(isinstance(one, _WITHOUT_FACES) for one in requests):
        raise SetupError("nobody was found yet: run 'immich-facesets sync' first")
    records = {one.decision_id: one for one in all_records(tx, with_eras=False)}
    targets = [one for number in _targets(requests) for one in _chain(number, records)]
    named = [one for request in requests for one in chosen_in(request)]
    refs = [one for one in named if isinstance(one, FaceRef)]
    refs += [ref for one in targets for ref in (*faces_in(one.decision), *_recorded(one))]
    pictures = _pictures_of(tx, space, [one for one in named if isinstance(one, int)]) | {ref.sha256 for ref in refs}
    recorded = {ref.sha256 for one in records.values() for ref in (*faces_in(one.decision), *_recorded(one))}
    found = faces_in_pictures(tx, space, pictures)
    resolve = Finder(tx, space, recorded | pictures)
    decided = constraints_of(records.values(), resolve)
    numbers = {number for request in requests for number in numbers_of(request)}
    numbers |= {number for one in targets for number in numbers_in(one.decision)}
    numbers |= {face.identity for face in found.values() if face.identity is not None}
    numbers |= {decided.current(number) for number in numbers}
    placed = (states.get(face) for face in found for states in (decided.must, decided.anchors))
    eras_of = numbers | {number for number in placed if number is not None}
    made = {number: one.decision for number, one in records.items()}
    for number, decision in whole_eras(tx, made, merged_ever(made.values(), eras_of)).items():
        records[number] = msgspec.structs.replace(records[number], decision=decision)
    facts = facts_of(tx, space, numbers, found, records, resolve)
    references = known_references(tx, [one for request in requests for one in references_of(request)])
    return replace(facts, references=references)


def facts_of(
    tx: Connection,
    space: str,
    numbers: Iterable[int],
    found: Mapping[int, KnownFace],
    records: Mapping[int, Record],
    resolve: Finder,
) -> Facts:
    """Return the facts about these identities and faces; ``resolve``: for all contents to which references lead."""
    wanted = sorted(set(numbers))
    everybody = {**found, **_faces(tx, space, memberships.c.identity, wanted)}
    resolve.know({face.ref: face.face_id for face in everybody.values()})
    decided = constraints_of(records.values(), resolve)
    shown = labels(tx)
    return Facts(
        faces=everybody,
        identities=_identities(tx, wanted, shown),
        named=_named(tx, shown),
        records=records,
        constraints=decided,
        next_number=max([highest_number(tx), *decided.mentioned]) + 1,
        resolve=resolve,
        nearest=lambda since, groups: nearest_identities(tx, since, groups),
        profiles=SWITCHABLE,
    )


def _recorded(one: Record) -> list[FaceRef]:
    """Return the members that a decision recorded."""
    return [ref for part in one.members for ref in part.faces]


def _targets(requests: Sequence[Request]) -> list[int]:
    return [one.decision for one in requests if isinstance(one, UndoDecision | RedoDecision)]


def _chain(number: int, records: Mapping[int, Record]) -> list[Record]:
    """Return a decision with those made in one step with it, and what these undo."""
    record = records.get(number)
    if record is None:
        return []
    batch = [one for one in records.values() if one.batch == record.batch]
    undone = [one.decision.decision for one in batch if isinstance(one.decision, Undo)]
    return batch + [records[number] for number in undone if number in records]


def _pictures_of(tx: Connection, space: str, face_ids: Sequence[int]) -> set[str]:
    found: set[str] = set()
    for some in chunks(face_ids):
        found |= set(tx.scalars(select(faces.c.sha256).where(faces.c.space == space, faces.c.face_id.in_(some))))
    return found


def _faces(tx: Connection, space: str, column: Any, keys: Iterable[Any]) -> dict[int, KnownFace]:
    found: dict[int, KnownFace] = {}
    for some in chunks(sorted(set(keys))):
        rows = tx.execute(
            select(
                faces.c.face_id, faces.c.sha256, faces.c.x1, faces.c.y1, faces.c.x2, faces.c.y2, memberships.c.identity
            )
            .outerjoin(memberships, memberships.c.face_id == faces.c.face_id)
            .where(faces.c.space == space, column.in_(some))
        )
        for row in rows:
            ref = FaceRef(row.sha256, Box(row.x1, row.y1, row.x2, row.y2))
            found[row.face_id] = KnownFace(row.face_id, ref, row.identity)
    return found


def faces_in_pictures(tx: Connection, space: str, sha256s: Iterable[str]) -> dict[int, KnownFace]:
    """Return all faces of a space in these contents, by id."""
    return _faces(tx, space, faces.c.sha256, sha256s)


def _identities(tx: Connection, numbers: Sequence[int], shown: Mapping[int, str]) -> dict[int, KnownIdentity]:
    attached: dict[int, list[tuple[str, str]]] = {}
    found: dict[int, KnownIdentity] = {}
    for some in chunks(numbers):
        for one in tx.execute(select(people).where(people.c.identity.in_(some))):
            attached.setdefault(one.identity, []).append((one.source, one.person_id))
        for row in tx.execute(select(identities).where(identities.c.number.in_(some))):
            found[row.number] = KnownIdentity(
                row.number,
                label=shown.get(row.number),
                own_label=row.label,
                is_locked=row.is_locked,
                is_hidden=row.never_export,
                cover=None if row.cover is None else msgspec.convert(row.cover, FaceRef),
                people=tuple(sorted(attached.get(row.number, ()))),
            )
    return found


def _named(tx: Connection, shown: Mapping[int, str]) -> dict[str, tuple[int, ...]]:
    """Return the identities with faces or reference pictures that have a name, by ``name_key``."""
    placed = set(tx.scalars(select(memberships.c.identity).distinct()))
    placed |= set(tx.scalars(select(reference_pictures.c.sent_for).distinct()))
    found: dict[str, list[int]] = {}
    for number in sorted(placed & shown.keys()):
        found.setdefault(name_key(shown[number]), []).append(number)
    return {name: tuple(numbers) for name, numbers in found.items()}

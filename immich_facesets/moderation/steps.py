"""A step of moderation: requests in turn, the decisions that they amount to, and the facts as these leave them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

from immich_facesets.errors import RequestError
from immich_facesets.moderation.active_decisions import undone_ids
from immich_facesets.moderation.constraints import Constraints, constraints
from immich_facesets.moderation.decisions import (
    Confirm,
    Decision,
    Erased,
    Forget,
    Label,
    Later,
    Merge,
    Move,
    Part,
    ReferencePicture,
    Undo,
    faces_in,
    numbers_in,
)
from immich_facesets.moderation.effects import Effect, Scope, effect_of, owners_after, refuse_impossible
from immich_facesets.moderation.facts import Facts, KnownIdentity, refs
from immich_facesets.moderation.planning import decisions_of
from immich_facesets.moderation.records import Record
from immich_facesets.moderation.requests import ForgetPerson, RedoDecision, Request, UndoDecision
from immich_facesets.moderation.undoing import without_effect

MOST_ANCHORS = 200
"""The most members that a decision records of an identity; a merge records all, as an undo gives them back."""

_UNDATED = datetime(1970, 1, 1, tzinfo=UTC)

T = TypeVar("T")

Entry = tuple[Decision, tuple[Part, ...]]
"""A decision, and the members of the identities that it mentions."""


@dataclass(frozen=True, slots=True)
class Step:
    """The decisions of a step, the facts after it, and what it changes."""

    entries: tuple[Entry, ...]
    facts: Facts
    effect: Effect


def take_step(requests: Sequence[Request], facts: Facts) -> Step:
    """Return the step of these requests; each finds what those before it changed. ``RequestError`` for the first that fails."""
    if len(requests) > 1 and any(isinstance(one, ForgetPerson) for one in requests):
        raise RequestError("a person is forgotten by a step of its own: send that request alone", status=400)
    first, entries = facts, list[Entry]()
    for request in requests:
        asked = decisions_of(request, facts)
        after = facts_after(asked, facts)
        owners = {face_id: face.identity for face_id, face in after.faces.items()}
        scope = _scope(facts)
        refuse_impossible(scope, owners, after.constraints, even_if_locked=request.even_if_locked)
        effect = _effect(facts, after)
        if effect.is_empty and isinstance(request, UndoDecision | RedoDecision):
            raise without_effect(asked, facts)
        entries += [(one, members_for(one, facts)) for one in asked]
        facts = after
    return Step(tuple(entries), facts, _effect(first, facts))


def facts_after(asked: Sequence[Decision], facts: Facts) -> Facts:
    """Return the facts when these decisions are in effect, too."""
    latest = max(facts.records, default=0)
    new = {
        latest + place: Record(latest + place, "", "step", one, "", "command", _UNDATED, "", members_for(one, facts))
        for place, one in enumerate(asked, start=1)
    }
    return facts_with(new, facts)


def facts_with(new: Mapping[int, Record], facts: Facts) -> Facts:
    """Return the facts when these records are there, too."""
    records = {**facts.records, **new}
    after = constraints(
        ((number, one.decision) for number, one in records.items()),
        facts.resolve,
        {number: one.members for number, one in records.items()},
    )
    owners = owners_after(_scope(facts), after)
    owners |= _arrived_since(list(new.values()), records, facts, owners, after)
    owners |= dict.fromkeys(_freed(list(new.values()), records, facts, after))
    faces = {
        face_id: face if face.identity == owners[face_id] else replace(face, identity=owners[face_id])
        for face_id, face in facts.faces.items()
    }
    numbers = {number for number in owners.values() if number is not None}
    said = (one.decision for one in new.values())
    numbers |= {one.identity for one in said if isinstance(one, Label | ReferencePicture)}
    return replace(
        facts,
        faces=faces,
        identities=_identities(facts, after, numbers),
        records=records,
        constraints=after,
        next_number=max([facts.next_number - 1, *numbers, *after.mentioned]) + 1,
    )


def members_for(decision: Decision, facts: Facts) -> tuple[Part, ...]:
    """Return the identities that a decision mentions, with faces by which they are found again after a new import."""
    if isinstance(decision, Undo | Later | Forget | Erased):  # these settle no membership, or must not name any face
        return ()
    parts = {part.number for part in decision.parts} if isinstance(decision, Merge) else set[int]()
    found = []
    for number in sorted(numbers_in(decision) - parts):
        members = facts.members(number)
        kept = members if isinstance(decision, Merge) else evenly(members)
        found += [Part(number, refs(kept))] if kept else []
    return tuple(found)


def evenly(members: Sequence[T]) -> Sequence[T]:
    """Return members spread evenly over all, as many as a decision records."""
    if len(members) <= MOST_ANCHORS:
        return members
    return [members[place * len(members) // MOST_ANCHORS] for place in range(MOST_ANCHORS)]


def _scope(facts: Facts) -> Scope:
    return Scope.of(facts.faces, (number for number, one in facts.identities.items() if one.is_locked))


def _effect(before: Facts, after: Facts) -> Effect:
    owners = {face_id: face.identity for face_id, face in after.faces.items()}
    return effect_of(_scope(before), owners, before.constraints, after.constraints, before.identities)


def _arrived_since(
    new: Sequence[Record],
    records: Mapping[int, Record],
    facts: Facts,
    owners: Mapping[int, int | None],
    after: Constraints,
) -> dict[int, int | None]:
    """Return the identity of the faces that joined merged identities since: of those apart again, the nearest."""
    undone, found = undone_ids({number: one.decision for number, one in records.items()}), dict[int, int | None]()
    merges = {number: one for number, one in records.items() if isinstance(one.decision, Merge)}
    others = {ref for number, one in merges.items() if number not in undone for ref in faces_in(one.decision)}
    for one in new:
        merge = merges.get(one.decision.decision) if isinstance(one.decision, Undo) else None
        if merge is None or not isinstance(merge.decision, Merge) or merge.decision_id not in undone:
            continue
        into = merge.decision.into
        if after.current(into) != into:
            continue  # it is a part of another person by now
        recorded = {ref for part in (*merge.decision.parts, *merge.members) for ref in part.faces}
        known = {facts.resolve(ref) for ref in recorded | others}
        since = [
            face_id
            for face_id, number in owners.items()
            if number == into and face_id not in known and face_id not in facts.constraints.must
        ]
        numbers = [into, *(part.number for part in merge.decision.parts)]
        groups = {number: [face for face, to in owners.items() if to == number and face in known] for number in numbers}
        found |= facts.nearest(since, {number: group for number, group in groups.items() if group})
    return _one_per_picture(found, facts, owners)


def _freed(new: Sequence[Record], records: Mapping[int, Record], facts: Facts, after: Constraints) -> Iterator[int]:
    """Yield the faces of nobody that a decision had placed, which is taken back now; nothing else places them."""
    undone = undone_ids({number: one.decision for number, one in records.items()})
    for one in new:
        root = one
        while isinstance(root.decision, Undo):
            root = records[root.decision.decision]
        decision = root.decision
        if root.decision_id in undone and isinstance(decision, Move | Confirm) and decision.origin is None:
            for ref in decision.faces:
                face_id = facts.resolve(ref)
                if face_id is not None and face_id in facts.constraints.must and face_id not in after.must:
                    yield face_id


def _one_per_picture(
    found: Mapping[int, int | None], facts: Facts, owners: Mapping[int, int | None]
) -> dict[int, int | None]:
    """Return the same identities, where the picture of a face has no other face of one."""
    taken = {(number, facts.faces[face_id].ref.sha256) for face_id, number in owners.items() if face_id not in found}
    kept: dict[int, int | None] = {}
    for face_id, number in sorted(found.items()):
        key = (number, facts.faces[face_id].ref.sha256)
        kept[face_id] = None if key in taken else number
        taken.add(key)
    return kept


def _identities(facts: Facts, after: Constraints, numbers: set[int]) -> dict[int, KnownIdentity]:
    """Return the identities with what decisions set of them; those that are merged keep what they had."""
    known = dict(facts.identities) | {one: KnownIdentity(one) for one in numbers if one not in facts.identities}
    people: dict[int, list[tuple[str, str]]] = {}
    for number, one in facts.identities.items():
        for person in one.people:
            people.setdefault(after.attached.get(person, after.current(number)), []).append(person)
    return {number: _set(one, after, tuple(people.get(number, ()))) for number, one in known.items()}


def _set(one: KnownIdentity, after: Constraints, people: tuple[tuple[str, str], ...]) -> KnownIdentity:
    number = one.number
    own = after.labels.get(number, one.own_label)
    given = one.label if one.own_label is None else None
    return KnownIdentity(
        number,
        label=given if own is None else own,
        own_label=own,
        is_locked=after.locks.get(number, one.is_locked),
        is_hidden=after.hidden.get(number, one.is_hidden),
        cover=after.covers.get(number, one.cover),
        people=people,
    )

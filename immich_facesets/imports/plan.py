"""Decide which identity numbers the sets of another tool get."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from immich_facesets.imports.sorted_faces import DistinctFaces, SortedFace, SortedSet

_COUNTED = re.compile(r" \(\d+\)$")


class ImportOutcome(StrEnum):
    """The outcome for a set: an identity of its own, an existing one, or nothing new."""

    NEW = "new"
    JOINS = "joins"
    KNOWN = "known"


@dataclass(frozen=True, slots=True)
class ImportedPerson:
    """A set that was imported before: the identity it belongs to now, and its faces as they were written then."""

    person_id: str
    identity: int
    faces: tuple[SortedFace, ...] = field(repr=False)

    @property
    def name(self) -> str:
        """Return the name its set had with the other tool."""
        return _COUNTED.sub("", self.person_id)


@dataclass(frozen=True, slots=True)
class ExistingIdentities:
    """
    The identities before an import. ``numbers``: every identity number ever used; ``labelled``: the identities that
    have a name; ``holder``: by the number of a set, the identity that holds more than half of its faces.
    """

    numbers: frozenset[int]
    labelled: frozenset[int]
    imported: tuple[ImportedPerson, ...]
    holder: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class PlannedSet:
    """A set and its identity. ``faces``: those that are not written yet; ``label``: to be set, None for none."""

    number: int
    identity: int
    person_id: str
    outcome: ImportOutcome
    label: str | None = field(repr=False)
    faces: tuple[SortedFace, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """
    The changes of an import, by number.

    ``conflicts``: why numbers cannot be kept; only ``renumber`` overrides them.
    """

    sets: tuple[PlannedSet, ...]
    conflicts: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Return whether nothing changes."""
        return all(one.outcome is ImportOutcome.KNOWN and not one.faces and one.label is None for one in self.sets)


def plan_import(sets: Sequence[SortedSet], existing: ExistingIdentities) -> ImportPlan:
    """
    Plan the identity number of each set.

    A set that was imported before keeps its identity. An existing identity keeps its number and name. A free number is
    kept. Any other set gets the next number that was never used. Planning again on the applied plan gives an empty
    plan.
    """
    people = {one.person_id for one in existing.imported}
    following = max((*existing.numbers, *(one.number for one in sets)), default=0) + 1
    planned, conflicts = [], []
    for one in sorted(sets, key=lambda one: one.number):
        before = _before(one, existing.imported)
        if before is not None:
            planned.append(_again(one, before, existing))
            continue
        person_id = _unused(one.name, people)
        people.add(person_id)
        identity, outcome = existing.holder.get(one.number), ImportOutcome.JOINS
        if identity is None:
            identity, outcome = one.number, ImportOutcome.NEW
            if identity in existing.numbers:
                conflicts.append(f"{one.name}: the number {one.number} is somebody else's here")
                identity, following = following, following + 1
        elif identity != one.number:
            conflicts.append(f"{one.name}: most of its faces are identity {identity} here already")
        label = None if identity in existing.labelled and outcome is ImportOutcome.JOINS else one.label
        planned.append(PlannedSet(one.number, identity, person_id, outcome, label, one.faces))
    return ImportPlan(tuple(planned), tuple(conflicts))


def _before(one: SortedSet, imported: Sequence[ImportedPerson]) -> ImportedPerson | None:
    """Return the earlier import of this set: it had this name, and a face in common, or no faces then or now."""
    for person in imported:
        if person.name == one.name:
            known = DistinctFaces(person.faces)
            if not one.faces or not person.faces or any(known.holds(face) for face in one.faces):
                return person
    return None


def _again(one: SortedSet, before: ImportedPerson, existing: ExistingIdentities) -> PlannedSet:
    known = DistinctFaces(before.faces)
    fresh = tuple(face for face in one.faces if not known.holds(face))
    label = None if before.identity in existing.labelled else one.label
    return PlannedSet(one.number, before.identity, before.person_id, ImportOutcome.KNOWN, label, fresh)


def _unused(name: str, used: Collection[str]) -> str:
    found, count = name, 1
    while found in used:
        count += 1
        found = f"{name} ({count})"
    return found

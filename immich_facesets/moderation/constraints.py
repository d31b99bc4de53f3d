"""The constraints on grouping that follow from decisions: must-link, cannot-link, and locks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from immich_facesets.moderation.active_decisions import ActiveDecisions, Resolve, pair_of, undone_ids
from immich_facesets.moderation.decisions import Decision, FaceRef, Part, Seen, numbers_in
from immich_facesets.moderation.era_pins import EraPin

T = TypeVar("T")

__all__ = ["Anchors", "Constraints", "Resolve", "constraints"]

Anchors = Mapping[int, Sequence[Part]]
"""The identities that a decision mentions, with their faces at that time, by the decision's id."""


@dataclass(frozen=True, slots=True)
class Constraints:
    """
    The combined effect of all decisions, in current rows and identity numbers.

    ``must``: face to the identity it belongs to, at any distance. ``must_not``: cannot-link constraints, as (face,
    identity). ``put_back``: faces of ``must`` that only an undo placed, where they were. ``confirmed``: faces that surely show their identity. ``ignored``: faces that belong to no identity, those
    that show no person (``no_faces``) among them; ``strangers``: identities that are never shown. ``forgotten``:
    identities whose data was erased. ``merged``: old number to the number it was merged into, chains resolved.
    ``apart``: pairs of identities (lower first) that are two people. ``parted``: those of which faces of one were moved to the other, which says so of these faces. ``attached``: people (source, person id) whose
    identity a decision set. ``together``: faces whose pictures may hold one person twice. ``not_for_sets``: faces that
    are not exported; ``for_sets``: those that are in the face sets of an identity whatever rule would leave them out, with
    that identity. ``later_faces``, ``later_identities``: what a moderator put off, with the id of that decision; an
    identity or a pair is a tuple of numbers, ascending. ``seen``: the questions that these decisions put off, by their ids. ``of_age`` and ``adults``: faces and identities that show an
    adult. ``anchors``: members that an identity had when a decision mentioned it; they are found there again after a new
    import. ``births`` (ISO), ``minors``, ``locks``, ``labels``, ``hidden`` (from exports), ``profiles_off`` (that are not written for it) and ``covers`` hold the last
    decision for each identity. The value is that before, False, empty or None where it was undone; without a decision there is no entry.
    ``references``: the identity of each reference picture, by its digest. ``eras``: the faces that decisions hold in eras,
    by the number that the identity had then, or has again since the undo of a merge.
    ``mentioned``: every number that any decision ever mentioned; no new identity gets one.
    """

    must: Mapping[int, int] = field(default_factory=dict)
    must_not: frozenset[tuple[int, int]] = frozenset()
    put_back: frozenset[int] = frozenset()
    confirmed: frozenset[int] = frozenset()
    ignored: frozenset[int] = frozenset()
    no_faces: frozenset[int] = frozenset()
    strangers: frozenset[int] = frozenset()
    forgotten: frozenset[int] = frozenset()
    merged: Mapping[int, int] = field(default_factory=dict)
    apart: frozenset[tuple[int, int]] = frozenset()
    parted: frozenset[tuple[int, int]] = frozenset()
    attached: Mapping[tuple[str, str], int] = field(default_factory=dict)
    together: frozenset[int] = frozenset()
    not_for_sets: frozenset[int] = frozenset()
    for_sets: Mapping[int, int] = field(default_factory=dict)
    later_faces: Mapping[int, int] = field(default_factory=dict)
    later_identities: Mapping[tuple[int, ...], int] = field(default_factory=dict)
    seen: Mapping[int, Seen] = field(default_factory=dict)
    of_age: frozenset[int] = frozenset()
    adults: frozenset[int] = frozenset()
    anchors: Mapping[int, int] = field(default_factory=dict)
    births: Mapping[int, str | None] = field(default_factory=dict, repr=False)
    minors: Mapping[int, bool] = field(default_factory=dict)
    locks: Mapping[int, bool] = field(default_factory=dict)
    labels: Mapping[int, str | None] = field(default_factory=dict, repr=False)
    hidden: Mapping[int, bool] = field(default_factory=dict)
    profiles_off: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    covers: Mapping[int, FaceRef | None] = field(default_factory=dict)
    references: Mapping[str, int] = field(default_factory=dict)
    eras: Mapping[int, Mapping[FaceRef, EraPin]] = field(default_factory=dict)
    mentioned: frozenset[int] = field(default=frozenset(), compare=False)

    @property
    def locked(self) -> frozenset[int]:
        """The identities that are locked by a decision."""
        return frozenset(number for number, is_on in self.locks.items() if is_on)

    @property
    def never_export(self) -> frozenset[int]:
        """The identities that a decision excludes from every export."""
        return frozenset(number for number, is_on in self.hidden.items() if is_on)

    def numbers(self) -> frozenset[int]:
        """Return the identity numbers to which decisions assign faces, people or reference pictures, or that they merge."""
        pairs = (*self.must.items(), *self.must_not, *self.attached.items(), *self.anchors.items())
        pairs += tuple(self.references.items())
        return frozenset({*(number for _, number in pairs), *self.merged, *self.merged.values()})

    def current(self, number: int) -> int:
        """Return the current number of an identity, after merges."""
        return self.merged.get(number, number)

    def eras_of(self, number: int) -> dict[FaceRef, EraPin]:
        """Return the faces that decisions hold in eras of an identity, those of merged ones too; its own come last."""
        found: dict[FaceRef, EraPin] = {}
        for one in sorted(self.eras, key=lambda one: (one == number, one)):
            if one == number:
                found |= self.eras[one]
            elif self.current(one) == number:
                found |= {ref: msgspec.structs.replace(pin, is_own=False) for ref, pin in self.eras[one].items()}
        return found


def constraints(decisions: Iterable[tuple[int, Decision]], resolve: Resolve, anchors: Anchors = {}) -> Constraints:  # noqa: B006 it is only read
    """
    Return the combined constraints of ``decisions``, each with its id: later ids win, undone decisions do not count.

    The faces of an undone decision return to their place before it. A face that ``resolve`` does not find has no effect
    until it exists.
    """
    made = dict(decisions)
    undone = undone_ids(made)
    active = ActiveDecisions(resolve)
    for decision_id in sorted(made):
        if decision_id in undone:
            active.take_back(decision_id, made[decision_id], anchors.get(decision_id, ()))
        else:
            active.anchor(anchors.get(decision_id, ()))
            active.enter(decision_id, made[decision_id])
    return _combined(active, frozenset(number for one in made.values() for number in numbers_in(one)))


def _combined(active: ActiveDecisions, mentioned: frozenset[int]) -> Constraints:
    merged = {old: active.followed(old) for old in active.merged}

    def current(number: int) -> int:
        return merged.get(number, number)

    must = {face: current(to) for face, to in active.must.items() if current(to) not in active.forgotten}
    must_not = {(face, current(number)) for face, number in active.must_not}
    apart = {pair_of(current(one), current(two)) for one, two in active.apart}
    parted = {pair_of(current(one), current(two)) for one, two in active.parted}
    anchors = {
        face: current(number)
        for face, number in active.anchors().items()
        if face not in must and face not in active.ignored and (face, current(number)) not in must_not
        if current(number) not in active.forgotten
    }
    return Constraints(
        must=must,
        must_not=frozenset((face, number) for face, number in must_not if must.get(face) != number),
        put_back=frozenset(active.put_back & must.keys()),
        confirmed=frozenset(active.confirmed & must.keys()),
        ignored=frozenset(active.ignored),
        no_faces=frozenset(active.no_faces),
        strangers=frozenset(active.strangers),
        forgotten=frozenset(active.forgotten),
        merged=merged,
        apart=frozenset((one, two) for one, two in apart if one != two),
        parted=frozenset((one, two) for one, two in parted if one != two),
        attached={
            person: current(number)
            for person, number in active.attached.items()
            if current(number) not in active.forgotten
        },
        together=frozenset(active.together),
        not_for_sets=frozenset(active.not_for_sets),
        for_sets={
            face: current(number) for face, number in active.for_sets.items() if current(number) not in active.forgotten
        },
        later_faces=active.later_faces,
        later_identities=active.later_identities,
        seen=active.seen,
        of_age=frozenset(active.of_age),
        adults=frozenset(current(number) for number in active.adults),
        anchors=anchors,
        births=_of_current(active.births, merged),
        minors=_of_current(active.minors, merged),
        locks=active.settings.locks,
        labels=active.settings.labels,
        hidden=active.settings.hidden,
        profiles_off=active.settings.profiles_off,
        covers=active.settings.covers,
        references={
            digest: current(number)
            for digest, number in active.references.items()
            if current(number) not in active.forgotten
        },
        eras={number: pins for number, pins in active.eras.items() if pins},
        mentioned=mentioned,
    )


def _of_current(values: Mapping[int, T], merged: Mapping[int, int]) -> dict[int, T]:
    """Return the values of identities by current number; one that a merged identity had counts where there is no other."""
    found = {number: value for number, value in values.items() if number not in merged}
    for number, value in values.items():
        if not found.get(merged.get(number, number)):
            found[merged.get(number, number)] = value
    return found

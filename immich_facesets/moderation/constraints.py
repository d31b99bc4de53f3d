"""The constraints on grouping that follow from decisions: must-link, cannot-link, and locks."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import assert_never

from immich_facesets.moderation.decisions import (
    AllowTogether,
    Cover,
    Decision,
    FaceRef,
    Forget,
    Ignore,
    KeepApart,
    Label,
    Lock,
    Merge,
    Move,
    NeverExport,
    OfAge,
    Reject,
    Split,
    Undo,
    Unlock,
)

Resolve = Callable[[FaceRef], int | None]
"""A function from a face reference of a decision to its current row; None while there is no such row."""


@dataclass(frozen=True, slots=True)
class Constraints:
    """
    The combined effect of all decisions, in current rows and identity numbers.

    ``must``: face to the identity it belongs to, at any distance. ``must_not``: cannot-link constraints, as (face,
    identity). ``ignored``: faces that belong to no identity; ``strangers``: identities that are never shown.
    ``forgotten``: identities whose data was erased. ``merged``: old number to the number it was merged into, chains
    resolved. ``apart``: pairs of identities (lower first) that are two people. ``attached``: people (source, person id)
    whose identity a decision set. ``together``: faces whose pictures may hold one person twice. ``of_age`` and
    ``adults``: faces and identities that show an adult. ``locks``, ``labels``, ``hidden`` (from exports) and ``covers``
    hold the last decision for each identity. The value is False or None where it was undone; without a decision there
    is no entry.
    """

    must: Mapping[int, int] = field(default_factory=dict)
    must_not: frozenset[tuple[int, int]] = frozenset()
    ignored: frozenset[int] = frozenset()
    strangers: frozenset[int] = frozenset()
    forgotten: frozenset[int] = frozenset()
    merged: Mapping[int, int] = field(default_factory=dict)
    apart: frozenset[tuple[int, int]] = frozenset()
    attached: Mapping[tuple[str, str], int] = field(default_factory=dict)
    together: frozenset[int] = frozenset()
    of_age: frozenset[int] = frozenset()
    adults: frozenset[int] = frozenset()
    locks: Mapping[int, bool] = field(default_factory=dict)
    labels: Mapping[int, str | None] = field(default_factory=dict, repr=False)
    hidden: Mapping[int, bool] = field(default_factory=dict)
    covers: Mapping[int, int | None] = field(default_factory=dict)

    @property
    def locked(self) -> frozenset[int]:
        """The identities that are locked by a decision."""
        return frozenset(number for number, is_on in self.locks.items() if is_on)

    @property
    def never_export(self) -> frozenset[int]:
        """The identities that a decision excludes from every export."""
        return frozenset(number for number, is_on in self.hidden.items() if is_on)

    def numbers(self) -> frozenset[int]:
        """Return the identity numbers used in decisions, which new identities must not get."""
        pairs = (*self.must.items(), *self.must_not, *self.attached.items())
        return frozenset({*(number for _, number in pairs), *self.merged, *self.merged.values()})

    def current(self, number: int) -> int:
        """Return the current number of an identity, after merges."""
        return self.merged.get(number, number)


def constraints(decisions: Iterable[tuple[int, Decision]], resolve: Resolve) -> Constraints:
    """
    Return the combined constraints of ``decisions``, each with its id: later ids win, undone decisions do not count.

    The faces of an undone decision return to their place before it. A face that ``resolve`` does not find has no effect
    until it exists.
    """
    made = dict(decisions)
    undone = _undone(made)
    active = _ActiveDecisions(resolve)
    for decision_id in sorted(made):
        if decision_id in undone:
            active.take_back(made[decision_id])
        else:
            active.enter(made[decision_id])
    return active.close()


def _undone(made: Mapping[int, Decision]) -> frozenset[int]:
    """Return the ids undone by an undo that is itself in effect; a ``Forget`` cannot be undone."""
    undone: set[int] = set()
    for decision_id in sorted(made, reverse=True):
        decision = made[decision_id]
        if not isinstance(decision, Undo) or decision_id in undone or decision.decision >= decision_id:
            continue
        if not isinstance(made.get(decision.decision), Forget | None):
            undone.add(decision.decision)
    return frozenset(undone)


class _ActiveDecisions:
    """An accumulator of decisions, entered one by one; later ones overwrite earlier ones on the same subject."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._must: dict[int, int] = {}
        self._must_not: set[tuple[int, int]] = set()
        self._ignored: set[int] = set()
        self._erased: set[int] = set()
        self._strangers: set[int] = set()
        self._forgotten: set[int] = set()
        self._merged: dict[int, int] = {}
        self._apart: set[tuple[int, int]] = set()
        self._attached: dict[tuple[str, str], int] = {}
        self._together: set[int] = set()
        self._of_age: set[int] = set()
        self._adults: set[int] = set()
        self._locks: dict[int, bool] = {}
        self._labels: dict[int, str | None] = {}
        self._hidden: dict[int, bool] = {}
        self._covers: dict[int, int | None] = {}

    def enter(self, decision: Decision) -> None:  # noqa: C901, PLR0912 one flat arm for each kind of decision
        match decision:
            case Merge():
                self._merge(decision.into, [part.number for part in decision.parts])
            case Split():
                self._place(decision.faces, decision.number)
                self._apart.add(_pair(decision.identity, decision.number))
            case Move():
                self._place(decision.faces, decision.into)
            case Reject():
                self._reject(decision.faces, decision.identity)
            case KeepApart():
                self._apart.add(_pair(decision.identity, decision.other))
            case Ignore():
                self._ignore(decision)
            case AllowTogether():
                self._together.update(self._rows(decision.faces))
            case Forget():
                self._forgotten.add(decision.identity)
                self._erased.update(self._rows(decision.faces))
            case Lock() | Unlock():
                self._locks[decision.identity] = isinstance(decision, Lock)
            case Label():
                self._labels[decision.identity] = decision.label
            case NeverExport():
                self._hidden[decision.identity] = decision.is_on
            case OfAge():
                self._of_age.update(self._rows(decision.faces))
                self._adults.update(() if decision.identity is None else (decision.identity,))
            case Cover():
                self._covers[decision.identity] = self._resolve(decision.face)
            case Undo():
                pass
            case _:
                assert_never(decision)

    def take_back(self, decision: Decision) -> None:  # noqa: C901, PLR0912 one flat arm for each kind of decision
        """Enter an undone decision: its faces return to their place before it, and its setting is cleared."""
        match decision:
            case Merge():
                for part in decision.parts:
                    self._place(part.faces, part.number)
                    self._attached.update(dict.fromkeys(part.people, part.number))
            case Split():
                self._place(decision.faces, decision.identity)
            case Move() | Ignore():
                if decision.origin is not None:
                    self._place(decision.faces, decision.origin)
            case Reject():
                if decision.was_member:
                    self._place(decision.faces, decision.identity)
            case Lock() | Unlock():
                self._locks.setdefault(decision.identity, False)
            case Label():
                self._labels.setdefault(decision.identity, None)
            case NeverExport():
                self._hidden.setdefault(decision.identity, False)
            case Cover():
                self._covers.setdefault(decision.identity, None)
            case KeepApart() | AllowTogether() | OfAge() | Forget() | Undo():
                pass
            case _:
                assert_never(decision)

    def close(self) -> Constraints:
        merged = {old: self._followed(old) for old in self._merged}
        must = {face: merged.get(to, to) for face, to in self._must.items() if face not in self._erased}
        must_not = {(face, merged.get(number, number)) for face, number in self._must_not}
        apart = {_pair(merged.get(one, one), merged.get(two, two)) for one, two in self._apart}
        return Constraints(
            must=must,
            must_not=frozenset((face, number) for face, number in must_not if must.get(face) != number),
            ignored=frozenset(self._ignored | self._erased),
            strangers=frozenset(self._strangers),
            forgotten=frozenset(self._forgotten),
            merged=merged,
            apart=frozenset((one, two) for one, two in apart if one != two),
            attached={person: merged.get(number, number) for person, number in self._attached.items()},
            together=frozenset(self._together),
            of_age=frozenset(self._of_age),
            adults=frozenset(merged.get(number, number) for number in self._adults),
            locks=self._locks,
            labels=self._labels,
            hidden=self._hidden,
            covers=self._covers,
        )

    def _rows(self, faces: Iterable[FaceRef]) -> list[int]:
        found = (self._resolve(face) for face in faces)
        return [row for row in found if row is not None]

    def _merge(self, into: int, numbers: Iterable[int]) -> None:
        self._merged.pop(into, None)  # the target of a merge is a current identity
        for number in numbers:
            if number != into:
                self._merged[number] = into
                self._apart.discard(_pair(number, into))

    def _place(self, faces: Iterable[FaceRef], number: int) -> None:
        for row in self._rows(faces):
            self._must[row] = number
            self._must_not.discard((row, number))
            self._ignored.discard(row)

    def _reject(self, faces: Iterable[FaceRef], number: int) -> None:
        for row in self._rows(faces):
            self._must_not.add((row, number))
            if self._must.get(row) == number:
                del self._must[row]

    def _ignore(self, decision: Ignore) -> None:
        if decision.identity is not None:
            self._strangers.add(decision.identity)
        for row in self._rows(decision.faces):
            self._ignored.add(row)
            self._must.pop(row, None)

    def _followed(self, number: int) -> int:
        while number in self._merged:
            number = self._merged[number]
        return number


def _pair(one: int, two: int) -> tuple[int, int]:
    return (min(one, two), max(one, two))

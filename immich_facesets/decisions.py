"""
What a moderator can say, and what follows from all that was said.

Decisions are the only irreplaceable data: values that are only ever added, in the order of their ids. They refer to a
face by content hash and box, and to an identity by its number, so that they outlive every row, re-run and model. A
decision that takes faces away remembers where they were: that is what an undo gives back.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, assert_never

import msgspec

from immich_facesets.errors import RequestError
from immich_facesets.faces import Box


class FaceRef(msgspec.Struct, frozen=True):
    """A face as a decision names one: the SHA-256 of its content, and its box in upright original pixels."""

    sha256: str
    box: Box


class Part(msgspec.Struct, frozen=True):
    """An identity that a merge takes up: its number, and the faces and people (source, person id) it had by then."""

    number: int
    faces: tuple[FaceRef, ...] = ()
    people: tuple[tuple[str, str], ...] = ()


class _Said(msgspec.Struct, frozen=True, tag_field="kind", forbid_unknown_fields=True):
    """Every decision names its kind in JSON."""


class Merge(_Said, frozen=True, tag="merge"):
    """The parts are the person ``into``."""

    into: int
    parts: tuple[Part, ...]


class Split(_Said, frozen=True, tag="split"):
    """Those faces of ``identity`` are another person, who has the ``number``; the two are never taken for one again."""

    identity: int
    faces: tuple[FaceRef, ...]
    number: int


class Move(_Said, frozen=True, tag="move"):
    """Those faces are the person ``into``; ``origin`` is where they were, None for nowhere."""

    faces: tuple[FaceRef, ...]
    into: int
    origin: int | None = None


class Reject(_Said, frozen=True, tag="reject"):
    """Those faces are not this person, for good. ``was_member``: they were in it until now."""

    faces: tuple[FaceRef, ...]
    identity: int
    was_member: bool = True


class KeepApart(_Said, frozen=True, tag="keep_apart"):
    """Two identities are two persons: their merge is never suggested again."""

    identity: int
    other: int


class Lock(_Said, frozen=True, tag="lock"):
    """The machine never changes this identity."""

    identity: int


class Unlock(_Said, frozen=True, tag="unlock"):
    """The machine may change this identity again."""

    identity: int


class Label(_Said, frozen=True, tag="label"):
    """What a person calls this identity; None takes the name away."""

    identity: int
    label: str | None


class Ignore(_Said, frozen=True, tag="ignore"):
    """
    Nobody we care about, for good: single faces, which then belong to nobody, or a whole identity.

    An ignored identity goes on collecting its faces, so that the stranger never comes back as somebody new; it is never
    shown or exported. ``origin`` is where single faces were, None for nowhere.
    """

    faces: tuple[FaceRef, ...] = ()
    identity: int | None = None
    origin: int | None = None


class AllowTogether(_Said, frozen=True, tag="allow_together"):
    """Two faces in the pictures of these faces may be one person: a mirror, a collage."""

    faces: tuple[FaceRef, ...]


class Forget(_Said, frozen=True, tag="forget"):
    """Erase what we know of a person. Its faces are never looked at again, and no undo brings them back."""

    identity: int
    faces: tuple[FaceRef, ...]


class NeverExport(_Said, frozen=True, tag="never_export"):
    """An identity is never exported; ``is_on=False`` takes that back."""

    identity: int
    is_on: bool = True


class Cover(_Said, frozen=True, tag="cover"):
    """The face that stands for an identity."""

    identity: int
    face: FaceRef


class Undo(_Said, frozen=True, tag="undo"):
    """That decision (by its id) no longer holds; undoing an undo brings it back."""

    decision: int


Decision = (
    Merge
    | Split
    | Move
    | Reject
    | KeepApart
    | Lock
    | Unlock
    | Label
    | Ignore
    | AllowTogether
    | Forget
    | NeverExport
    | Cover
    | Undo
)

Resolve = Callable[[FaceRef], int | None]
"""From a face as decisions name it to the row it has now; None while there is no such row."""


def kind_of(decision: Decision) -> str:
    """The name of a decision's kind, as in its JSON."""
    return str(decision.__struct_config__.tag)


def to_json(decision: Decision) -> dict[str, Any]:
    """A decision as plain JSON values, its kind under ``kind``."""
    plain: dict[str, Any] = msgspec.to_builtins(decision)
    return plain


def from_json(plain: object) -> Decision:
    """A decision from plain JSON values; anything else is a ``RequestError``."""
    try:
        decision: Decision = msgspec.convert(plain, Decision)
    except msgspec.ValidationError as error:
        raise RequestError(f"this is no decision: {error}", status=400) from error
    return decision


@dataclass(frozen=True, slots=True)
class Constraints:
    """
    What all decisions together demand, in rows and numbers of today.

    ``must``: face to the identity it belongs to, whatever the distance. ``must_not``: (face, identity) that never
    belong together. ``ignored``: faces that belong to nobody; ``strangers``: identities that are never shown.
    ``merged``: old number to the number that took it up, already followed to its end. ``apart``: pairs of identities
    (lower first) that are two persons. ``attached``: people (source, person id) whose identity a decision settled.
    ``together``: faces whose pictures may hold one person twice. ``locks``, ``labels``, ``hidden`` (from exports) and
    ``covers`` hold what was said last; False or None where it was taken back, nothing where nothing was said.
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
    locks: Mapping[int, bool] = field(default_factory=dict)
    labels: Mapping[int, str | None] = field(default_factory=dict, repr=False)
    hidden: Mapping[int, bool] = field(default_factory=dict)
    covers: Mapping[int, int | None] = field(default_factory=dict)

    @property
    def locked(self) -> frozenset[int]:
        """The identities that a decision locks."""
        return frozenset(number for number, is_on in self.locks.items() if is_on)

    @property
    def never_export(self) -> frozenset[int]:
        """The identities that a decision keeps from every export."""
        return frozenset(number for number, is_on in self.hidden.items() if is_on)

    def numbers(self) -> frozenset[int]:
        """The numbers that decisions speak of: whoever has none yet gets another."""
        pairs = (*self.must.items(), *self.must_not, *self.attached.items())
        return frozenset({*(number for _, number in pairs), *self.merged, *self.merged.values()})

    def current(self, number: int) -> int:
        """The number under which an identity lives today."""
        return self.merged.get(number, number)


def constraints(decisions: Iterable[tuple[int, Decision]], resolve: Resolve) -> Constraints:
    """
    What ``decisions``, each with its id, demand together: by id, the later wins, undone ones do not count.

    Where a decision was undone, its faces go back to where it found them. A face that ``resolve`` does not find has no
    effect now; it will have once it is there.
    """
    made = dict(decisions)
    undone = _undone(made)
    ledger = _Ledger(resolve)
    for decision_id in sorted(made):
        if decision_id in undone:
            ledger.take_back(made[decision_id])
        else:
            ledger.enter(made[decision_id])
    return ledger.close()


def _undone(made: Mapping[int, Decision]) -> frozenset[int]:
    """The ids that no longer hold: undone by an undo that itself holds. What was forgotten stays forgotten."""
    undone: set[int] = set()
    for decision_id in sorted(made, reverse=True):
        decision = made[decision_id]
        if not isinstance(decision, Undo) or decision_id in undone or decision.decision >= decision_id:
            continue
        if not isinstance(made.get(decision.decision), Forget | None):
            undone.add(decision.decision)
    return frozenset(undone)


class _Ledger:
    """Decisions entered one by one; the later overwrites what the earlier said about the same."""

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
            case Cover():
                self._covers[decision.identity] = self._resolve(decision.face)
            case Undo():
                pass
            case _:
                assert_never(decision)

    def take_back(self, decision: Decision) -> None:  # noqa: C901, PLR0912 one flat arm for each kind of decision
        """What an undone decision leaves behind: its faces where it found them, and the word that it no longer holds."""
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
            case KeepApart() | AllowTogether() | Forget() | Undo():
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
            locks=self._locks,
            labels=self._labels,
            hidden=self._hidden,
            covers=self._covers,
        )

    def _rows(self, faces: Iterable[FaceRef]) -> list[int]:
        found = (self._resolve(face) for face in faces)
        return [row for row in found if row is not None]

    def _merge(self, into: int, numbers: Iterable[int]) -> None:
        self._merged.pop(into, None)  # whoever takes somebody up is alive
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

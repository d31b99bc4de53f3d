"""An accumulator of decisions: what is in effect after each, entered one by one in the order of their ids."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import assert_never

from immich_facesets.moderation import era_pins
from immich_facesets.moderation.decisions import (
    AllowTogether,
    BirthDate,
    Confirm,
    Cover,
    Decision,
    Eras,
    Erased,
    FaceRef,
    Forget,
    ForSets,
    Ignore,
    KeepApart,
    Label,
    Later,
    Lock,
    Merge,
    Minor,
    Move,
    NeverExport,
    NotAFace,
    NotForSets,
    OfAge,
    Part,
    Profiles,
    ReferencePicture,
    Reject,
    Seen,
    Split,
    Undo,
    Unlock,
)
from immich_facesets.moderation.era_pins import EraPin
from immich_facesets.moderation.person_settings import PersonSettings
from immich_facesets.moderation.undone_merges import UndoneMerges

Resolve = Callable[[FaceRef], int | None]
"""A function from a face reference of a decision to its current row; None while there is no such row."""


def undone_ids(made: Mapping[int, Decision]) -> frozenset[int]:
    """Return the ids undone by an undo that is itself in effect; a ``Forget`` cannot be undone."""
    undone: set[int] = set()
    for decision_id in sorted(made, reverse=True):
        decision = made[decision_id]
        if not isinstance(decision, Undo) or decision_id in undone or decision.decision >= decision_id:
            continue
        if not isinstance(made.get(decision.decision), Forget | None):
            undone.add(decision.decision)
    return frozenset(undone)


class ActiveDecisions:
    """The effects of the decisions entered so far; later ones overwrite earlier ones on the same subject."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self.must: dict[int, int] = {}
        self.must_not: set[tuple[int, int]] = set()
        self.confirmed: set[int] = set()
        self.put_back: set[int] = set()
        self.ignored: set[int] = set()
        self.no_faces: set[int] = set()
        self.strangers: set[int] = set()
        self.forgotten: set[int] = set()
        self.merged: dict[int, int] = {}
        self.apart: set[tuple[int, int]] = set()
        self.parted: set[tuple[int, int]] = set()
        self.attached: dict[tuple[str, str], int] = {}
        self.together: set[int] = set()
        self.not_for_sets: set[int] = set()
        self.for_sets: dict[int, int] = {}
        self.later_faces: dict[int, int] = {}
        self.later_identities: dict[tuple[int, ...], int] = {}
        self.seen: dict[int, Seen] = {}
        self.of_age: set[int] = set()
        self.adults: set[int] = set()
        self.births: dict[int, str | None] = {}
        self.minors: dict[int, bool] = {}
        self.settings = PersonSettings()
        self.references: dict[str, int] = {}
        self.eras: dict[int, dict[FaceRef, EraPin]] = {}
        self._undone_merges = UndoneMerges(self.followed)
        self._anchors: dict[int, Sequence[FaceRef]] = {}

    def enter(self, decision_id: int, decision: Decision) -> None:  # noqa: C901, PLR0912, PLR0915 one flat arm for each kind of decision
        match decision:
            case Merge():
                self._merge(decision)
            case Split():
                self._place(decision.faces, decision.number)
                origins = self._undone_merges.by_person(decision.faces, decision.identity)
                self.apart.update(pair_of(origin, decision.number) for origin in origins)
            case Move():
                self._place(decision.faces, decision.into)
                if decision.origin is not None:
                    origins = self._undone_merges.by_person(decision.faces, decision.origin)
                    self.parted.update(pair_of(origin, decision.into) for origin in origins)
            case Confirm():
                for number, faces in self._undone_merges.by_person(decision.faces, decision.identity).items():
                    self._place(faces, number)
                self.confirmed.update(self._rows(decision.faces))
            case Reject():
                for number, faces in self._undone_merges.by_person(decision.faces, decision.identity).items():
                    self._reject(faces, {number, decision.identity})
            case KeepApart():
                self.apart.add(pair_of(decision.identity, decision.other))
            case Ignore():
                self.strangers.update(() if decision.identity is None else (decision.identity,))
                self._ignore(decision.faces)
            case NotAFace():
                self._ignore(decision.faces)
                self.no_faces.update(self._rows(decision.faces))
            case Later():
                self.later_faces |= dict.fromkeys(self._rows(decision.faces), decision_id)
                numbers = sorted(one for one in (decision.identity, decision.other) if one is not None)
                self.later_identities |= {tuple(numbers): decision_id} if numbers else {}
                self.seen |= {} if decision.seen is None else {decision_id: decision.seen}
            case NotForSets():
                self._hold_from_sets(decision)
            case ForSets():
                self._include_in_sets(decision)
            case AllowTogether():
                self.together.update(self._rows(decision.faces))
            case Forget():
                self.forgotten.update((decision.identity, *decision.merged))
            case Lock() | Unlock():
                self.settings.locks[decision.identity] = isinstance(decision, Lock)
            case Label():
                self.settings.labels[decision.identity] = decision.label
            case NeverExport():
                self.settings.hidden |= dict.fromkeys(self._undone_merges.concerned(decision), decision.is_on)
            case Profiles():
                self.settings.switch_profiles(decision)
            case OfAge():
                self.of_age.update(self._rows(decision.faces))
                self.adults.update(() if decision.identity is None else (decision.identity,))
            case BirthDate():
                self.births[decision.identity] = decision.birth_date
            case Minor():
                self.minors |= dict.fromkeys(self._undone_merges.concerned(decision), decision.is_on)
            case Cover():
                self.settings.choose_cover(decision.face, self._undone_merges.way_of(decision.face, decision.identity))
            case ReferencePicture():
                self.references.pop(decision.digest, None)
                self.references |= {decision.digest: decision.identity} if decision.is_on else {}
            case Eras():
                for number, part, shared in self._undone_merges.eras_by_person(decision):
                    era_pins.enter(self.eras.setdefault(number, {}), part, shared)
            case Undo():
                self._undone_merges.end(decision.decision)
            case Erased():
                pass
            case _:
                assert_never(decision)

    def take_back(self, decision_id: int, decision: Decision, members: Sequence[Part] = ()) -> None:  # noqa: C901, PLR0912 one flat arm for each kind of decision
        """
        Enter an undone decision: its faces return to their place before it, and its setting is cleared.

        ``members``: those that its identities had before. They count where faces return to one of these.
        """
        if getattr(decision, "origin", None) is not None or isinstance(decision, Merge | Split | Reject):
            self.anchor(members)
        match decision:
            case Merge():
                self._undone_merges.add(decision_id, decision)
                self._take_back_merge(decision)
            case Split():
                self._put_back(decision.faces, decision.identity)
            case Move() | Ignore() | NotAFace():
                if decision.origin is not None:
                    self._put_back(decision.faces, decision.origin)
            case Confirm():
                if decision.origin is not None and decision.origin != decision.identity:
                    self._put_back(decision.faces, decision.origin)
            case Reject():
                if decision.was_member:
                    self._put_back(decision.faces, decision.identity)
            case Lock() | Unlock():
                self.settings.locks.setdefault(decision.identity, isinstance(decision, Unlock))
            case Label():
                self.settings.labels.setdefault(decision.identity, decision.before)
            case NeverExport():
                self.settings.hidden = (
                    dict.fromkeys(self._undone_merges.concerned(decision), not decision.is_on) | self.settings.hidden
                )
            case Profiles():
                self.settings.profiles_off.setdefault(decision.identity, ())
            case BirthDate():
                self.births.setdefault(decision.identity, None)
            case Minor():
                self.minors = dict.fromkeys(self._undone_merges.concerned(decision), not decision.is_on) | self.minors
            case Cover():
                self.settings.clear_cover(self._undone_merges.way_of(decision.face, decision.identity))
            case Eras():
                for number, part, shared in self._undone_merges.eras_by_person(decision):
                    era_pins.take_back(self.eras.setdefault(number, {}), part, shared)
            case KeepApart() | Later() | AllowTogether() | OfAge() | Forget() | Erased() | Undo():
                pass
            case NotForSets() | ForSets() | ReferencePicture():  # an earlier decision about it counts again
                pass
            case _:
                assert_never(decision)

    def anchor(self, parts: Sequence[Part]) -> None:
        """Enter the members that identities had when a decision mentioned them; later ones replace earlier ones."""
        for part in parts:
            self._anchors.pop(part.number, None)  # the order is that of the last mention
            self._anchors[part.number] = part.faces

    def anchors(self) -> dict[int, int]:
        """Return the recorded identity of each recorded member."""
        return {row: number for number, faces in self._anchors.items() for row in self._rows(faces)}

    def followed(self, number: int) -> int:
        """Return the current number of an identity, after all merges."""
        while number in self.merged:
            number = self.merged[number]
        return number

    def _rows(self, faces: Iterable[FaceRef]) -> list[int]:
        return [row for face in faces if (row := self._resolve(face)) is not None]

    def _merge(self, decision: Merge) -> None:
        into = decision.into
        self.merged.pop(into, None)  # the target of a merge is a current identity
        for part in decision.parts:
            if part.number != into:
                self.merged[part.number] = into
                self.apart.discard(pair_of(part.number, into))
                self.anchor([part])
        self.settings.follow(decision)

    def _take_back_merge(self, decision: Merge) -> None:
        for part in decision.parts:
            self._put_back(part.faces, part.number)
            self.attached.update(dict.fromkeys(part.people, part.number))
        self.settings.take_back(decision)

    def _put_back(self, faces: Iterable[FaceRef], number: int) -> None:
        """Place faces where they were, but for those of which an earlier decision settles it."""
        for row in self._rows(faces):
            if row not in self.must and row not in self.ignored:
                self.must[row] = number
                self.put_back.add(row)
                self.must_not.discard((row, number))

    def _place(self, faces: Iterable[FaceRef], number: int) -> None:
        for row in self._rows(faces):
            self.must[row] = number
            self.must_not.discard((row, number))
            self._clear(row)

    def _reject(self, faces: Iterable[FaceRef], numbers: Collection[int]) -> None:
        for row in self._rows(faces):
            self.must_not.update((row, number) for number in numbers)
            if self.must.get(row) in numbers:
                del self.must[row]
                self.confirmed.discard(row)

    def _hold_from_sets(self, decision: NotForSets) -> None:
        for row in self._rows(decision.faces):
            if decision.is_on:
                self.not_for_sets.add(row)
                self.for_sets.pop(row, None)
            else:
                self.not_for_sets.discard(row)

    def _include_in_sets(self, decision: ForSets) -> None:
        for number, faces in self._undone_merges.by_person(decision.faces, decision.identity).items():
            for row in self._rows(faces):
                if decision.is_on:
                    self.for_sets[row] = number
                    self.not_for_sets.discard(row)
                else:
                    self.for_sets.pop(row, None)

    def _ignore(self, faces: Iterable[FaceRef]) -> None:
        for row in self._rows(faces):
            self._clear(row)
            self.ignored.add(row)
            self.must.pop(row, None)

    def _clear(self, row: int) -> None:
        for states in (self.ignored, self.no_faces, self.confirmed, self.put_back):
            states.discard(row)


def pair_of(one: int, two: int) -> tuple[int, int]:
    """Return a pair of identities, the lower first."""
    return (min(one, two), max(one, two))

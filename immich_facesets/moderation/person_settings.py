"""Settings of identities, as decisions set them one after the other: what follows a merge, and ends with its undo."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from immich_facesets.moderation.decisions import FaceRef, Merge, Profiles

T = TypeVar("T")


class PersonSettings:
    """The settings by number; an identity has no entry before the first decision about it, or about one merged into it."""

    def __init__(self) -> None:
        self.locks: dict[int, bool] = {}
        self.labels: dict[int, str | None] = {}
        self.hidden: dict[int, bool] = {}
        self.profiles_off: dict[int, tuple[str, ...]] = {}
        self.covers: dict[int, FaceRef | None] = {}

    def switch_profiles(self, decision: Profiles) -> None:
        """Enter what a decision switches: its difference to what was off then."""
        now, off = {*self.profiles_off.get(decision.identity, ())}, {*decision.off}
        before = now if decision.before is None else {*decision.before}
        self.profiles_off[decision.identity] = tuple(sorted(now - (before - off) | (off - before)))

    def choose_cover(self, face: FaceRef, way: Sequence[int]) -> None:
        """Let a face represent the last of these identities; the others, through which it returned to that one, lose it."""
        self.clear_cover(way[:-1])
        self.covers[way[-1]] = face

    def clear_cover(self, numbers: Iterable[int]) -> None:
        """Note that a cover ended, for identities for which no earlier decision chose one."""
        for number in numbers:
            self.covers.setdefault(number, None)

    def follow(self, decision: Merge) -> None:
        """Give an identity what follows from those that are merged into it."""
        into = decision.into
        for part in decision.parts:
            _follow(self.locks, into, part.number)
            _follow(self.hidden, into, part.number)
            _follow(self.covers, into, part.number)
            if part.number in self.profiles_off:
                off = {*self.profiles_off.get(into, ()), *self.profiles_off[part.number]}
                self.profiles_off[into] = tuple(sorted(off))
        label = decision.label if decision.label_of is None else self.labels.get(decision.label_of, decision.label)
        if label is not None:
            self.labels[into] = label
        elif decision.label is not None:
            self.labels.setdefault(into, decision.label_before)

    def take_back(self, decision: Merge) -> None:
        """Clear what followed from an undone merge, where no earlier decision set it."""
        into = decision.into
        for part in decision.parts:
            _clear(self.locks, into, part.number, nothing=False)
            _clear(self.hidden, into, part.number, nothing=False)
            _clear(self.covers, into, part.number, nothing=None)
            _clear(self.profiles_off, into, part.number, nothing=())
        if decision.label is not None:
            self.labels.setdefault(into, decision.label_before)


def _follow(states: dict[int, T], into: int, part: int) -> None:
    if part in states:
        states[into] = states.get(into) or states[part]


def _clear(states: dict[int, T], into: int, part: int, *, nothing: T) -> None:
    if part in states:
        states.setdefault(into, nothing)

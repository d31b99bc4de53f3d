"""Identities: the existing ones, those that a grouping creates, and the sources' people attached to them."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from immich_facesets.assets import PersonKey
from immich_facesets.grouping.rules import GateCounts
from immich_facesets.moderation.constraints import Constraints
from immich_facesets.names import name_key

Origin = Literal["asserted", "discovered"]

UNASSIGNED = -1
"""The number that stands for no identity."""


@dataclass(frozen=True, slots=True)
class Known:
    """
    An existing identity.

    ``people``: the (source, person id) pairs attached to it. ``born``: the birthday in days since 1970, where a source
    provides it. ``named_by``: the person whose name it shows, as long as that person is attached and has a name.
    """

    number: int
    origin: Origin
    is_locked: bool
    people: frozenset[PersonKey]
    born: float | None = None
    named_by: PersonKey | None = None


class Birthdays:
    """
    The birthdays of identities, in days since 1970, while a plan is made. Of two, the earliest counts.

    An identity gets them from its people, those attached before and those that the plan attaches.
    """

    def __init__(self) -> None:
        self._days: dict[int, float] = {}

    def add(self, number: int, born: float | None) -> None:
        if born is not None:
            self._days[number] = min(born, self._days.get(number, np.inf))

    def of(self, number: int) -> float:
        """Return the birthday of an identity, minus infinity where it is not known."""
        return self._days.get(number, -np.inf)

    def known(self) -> list[tuple[int, float]]:
        """Return the identities whose birthdays are known, with these."""
        return list(self._days.items())

    def renumber(self, final: Mapping[int, int]) -> None:
        """Move birthdays to the final numbers of their identities."""
        self._days = {final.get(number, number): born for number, born in self._days.items()}


class People:
    """
    The attachments of the sources' people to identities, while a plan is made.

    ``names``: the label of every person whom a source asserts now. Other attached people, such as those without a name
    any more, keep their attachment, but separate nothing.
    """

    def __init__(self, known: Mapping[int, frozenset[PersonKey]], names: Mapping[PersonKey, str] | None = None) -> None:
        self.identity_of = {person: number for number in sorted(known) for person in sorted(known[number])}
        self._names = {person: name_key(name) for person, name in (names or {}).items()}

    def attach(self, person: PersonKey, number: int) -> None:
        self.identity_of[person] = number

    def detach_person(self, person: PersonKey) -> None:
        del self.identity_of[person]

    def renumber(self, final: Mapping[int, int]) -> None:
        """Move people to the final numbers of their identities."""
        self.identity_of = {person: final.get(number, number) for person, number in self.identity_of.items()}

    def detach(self, numbers: Container[int]) -> None:
        """Detach all people from the given identities."""
        self.identity_of = {person: number for person, number in self.identity_of.items() if number not in numbers}

    def is_named(self, person: PersonKey) -> bool:
        """Return whether a source asserts this person now."""
        return person in self._names

    def named(self) -> set[int]:
        """Return the identities of the people whom a source asserts now."""
        return {number for person, number in self.identity_of.items() if self.is_named(person)}

    def has_other(self, number: int, person: PersonKey) -> bool:
        """Return whether another person of the source of ``person`` is attached, under another name."""
        return any(to == number and self._differ(other, person) for other, to in self.identity_of.items())

    def of(self, number: int) -> frozenset[PersonKey]:
        return frozenset(person for person, to in self.identity_of.items() if to == number)

    def conflict(self, one: int, two: int) -> bool:
        """Return whether one source has people of different names attached to the two identities."""
        others = self.of(two)
        return any(self._differ(person, other) for person in self.of(one) for other in others)

    def name_of(self, person: PersonKey) -> str:
        """Return the name by which a source asserts a person, in one spelling of capitals and spaces; else nothing."""
        return self._names.get(person, "")

    def _differ(self, one: PersonKey, two: PersonKey) -> bool:
        if one == two or one[0] != two[0] or not (self.is_named(one) and self.is_named(two)):
            return False
        return not self.name_of(one) or self.name_of(one) != self.name_of(two)


class Identities:
    """
    The identities while a plan is made: the people attached to them, and the new ones.

    ``origins`` and ``gate_counts``: of new identities, by number; the counts are those of the cluster that became one.
    ``absorbed``: the identity that took over all of an existing one, by the number of that one.
    ``first_new``: the lowest number of an identity that grouping creates. Such numbers are provisional until
    ``renumber``.
    """

    def __init__(
        self,
        known: Sequence[Known],
        constraints: Constraints,
        first_new: int,
        names: Mapping[PersonKey, str] | None = None,
    ) -> None:
        self.people = People({}, names)
        for identity in sorted(known, key=lambda one: one.number):
            for person in sorted(identity.people):
                self.people.attach(person, constraints.current(identity.number))
        listed = self.people.identity_of.keys() | (names or {}).keys()
        for person, number in constraints.attached.items():
            if person in listed:  # others are gone, or have no name any more
                self.people.attach(person, number)
        self.origins: dict[int, Origin] = {}
        self.gate_counts: dict[int, GateCounts] = {}
        self.absorbed: dict[int, int] = {}
        self.first_new = first_new
        self._next = first_new
        self._asserted = {constraints.current(one.number) for one in known if one.origin == "asserted"}

    def is_asserted(self, number: int) -> bool:
        """Return whether a source or a decision named the identity, rather than discovery."""
        return number in self._asserted or self.origins.get(number) == "asserted"

    def create(self, origin: Origin) -> int:
        """Create an identity and return its number."""
        number, self._next = self._next, self._next + 1
        self.origins[number] = origin
        return number

    def may_return(self, number: int) -> bool:
        """Return whether an identity without faces may get some again: it is an existing one, or was not discarded."""
        return number < self.first_new or number in self.origins

    def absorb(self, gone: int, kept: int) -> None:
        """Record that one identity took over all of another."""
        self.absorbed = {old: kept if new == gone else new for old, new in self.absorbed.items()}
        if gone < self.first_new:
            self.absorbed[gone] = kept

    def restore(self, new: int, number: int) -> None:
        """Let a new identity be an existing one."""
        self.absorbed.pop(number, None)
        del self.origins[new]
        if new in self.gate_counts:
            self.gate_counts[number] = self.gate_counts.pop(new)
        self.absorbed = {old: number if to == new else to for old, to in self.absorbed.items()}
        self.people.renumber({new: number})

    def drop_empty(self, owner: NDArray[np.int64]) -> None:
        """Discard new identities without faces, and detach all people from them."""
        empty = self.origins.keys() - set(owner.tolist())
        self.origins = {number: origin for number, origin in self.origins.items() if number not in empty}
        self.people.detach(empty)

    def renumber(self, final: Mapping[int, int]) -> None:
        """Replace provisional numbers, the keys of ``final``; counts of identities that were dropped are discarded."""
        self.origins = {final.get(number, number): origin for number, origin in self.origins.items()}
        self.gate_counts = {
            final.get(number, number): counts
            for number, counts in self.gate_counts.items()
            if number in final or number < self.first_new
        }
        self.absorbed = {old: final.get(new, new) for old, new in self.absorbed.items()}
        self.people.renumber(final)

"""Identities, and the attachments of the sources' people to them."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Literal

Origin = Literal["asserted", "discovered"]


@dataclass(frozen=True, slots=True)
class Known:
    """
    An existing identity.

    ``people``: the (source, person id) pairs attached to it. ``born``: the birthday in days since 1970, where a source
    provides it.
    """

    number: int
    origin: Origin
    is_locked: bool
    people: frozenset[tuple[str, str]]
    born: float | None = None


class People:
    """The attachments of the sources' people to identities, while a plan is made."""

    def __init__(self, known: Mapping[int, frozenset[tuple[str, str]]]) -> None:
        self.identity_of = {person: number for number in sorted(known) for person in sorted(known[number])}

    def attach(self, person: tuple[str, str], number: int) -> None:
        self.identity_of[person] = number

    def renumber(self, final: Mapping[int, int]) -> None:
        """Move people to the final numbers of their identities."""
        self.identity_of = {person: final.get(number, number) for person, number in self.identity_of.items()}

    def detach(self, numbers: Container[int]) -> None:
        """Detach all people from the given identities."""
        self.identity_of = {person: number for person, number in self.identity_of.items() if number not in numbers}

    def has_other(self, number: int, person: tuple[str, str]) -> bool:
        """Return whether another person of the same source is attached; a source names different people on purpose."""
        source = person[0]
        return any(to == number and other[0] == source and other != person for other, to in self.identity_of.items())

    def of(self, number: int) -> frozenset[tuple[str, str]]:
        return frozenset(person for person, to in self.identity_of.items() if to == number)

    def conflict(self, one: int, two: int) -> bool:
        """Return whether the same source has people attached to both identities."""
        sources = {source for source, _ in self.of(one)}
        return any(source in sources for source, _ in self.of(two))

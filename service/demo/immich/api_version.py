"""Which of the three ways of speaking a server of a given version has."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Dialect:
    """What changes between 2.7, 3.0 to 3.1, and 3.2 and later; everything else is the same in all of them."""

    major: int
    minor: int
    patch: int

    @classmethod
    def of(cls, version: str) -> Self:
        """Read ``3.1.0``, ``v3.1.0`` or ``3.2``; raises `ValueError` on anything else."""
        numbers = [int(part) for part in version.removeprefix("v").split(".")]
        major, minor, patch = [*numbers, 0, 0][:3]
        return cls(major, minor, patch)

    @property
    def two(self) -> bool:
        """2.x: faces inline in the search, no tie-breaker, errors with a status and a correlation id in the body."""
        return self.major < 3  # the release that took the faces out of the search

    @property
    def filters(self) -> bool:
        """3.2 and later: the search also takes `filter`, `orderBy` and `cursor`."""
        return (self.major, self.minor) >= (3, 2)

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

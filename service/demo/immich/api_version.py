"""The API dialect of an Immich version: one of three."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Dialect:
    """An Immich version, and the differences between 2.7, 3.0 to 3.1, and 3.2 and later; all else is the same."""

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
        """Whether it is 2.x: faces in search results, no tie-breaker, error bodies with status and correlation id."""
        return self.major < 3  # 3.0 removed the faces from search results

    @property
    def filters(self) -> bool:
        """Whether it is 3.2 or later: the search also takes `filter`, `orderBy` and `cursor`."""
        return (self.major, self.minor) >= (3, 2)

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

"""A stored era, and the naming of eras."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from immich_facesets.eras.years import dominant_year, span, years_of
from immich_facesets.grouping.face_table import FaceTable, Rows

UNDATED = "undated"

_YEAR_NAME = re.compile(rf"(?:[0-9]{{4}}|{UNDATED})(?:_[0-9]+)?")


@dataclass(frozen=True, slots=True)
class KeptEra:
    """
    A stored era. ``name`` is unique among the eras of one identity; the years are those at its creation.

    ``founders``: ids of the faces the era was made of. ``joined``: ids of faces added later, with the confidence in [0,
    1] where similarity alone decided, None where a date did. ``window``: the name by age of an era that a person gave
    another one; None where ``name`` is it, and of eras by years.
    """

    name: str
    from_year: int | None
    main_year: int | None
    to_year: int | None
    founders: frozenset[int]
    joined: Mapping[int, float | None] = field(default_factory=dict)
    window: str | None = None

    @property
    def age_name(self) -> str:
        """The name of the ages that an era by age has."""
        return self.window or self.name

    @property
    def face_ids(self) -> frozenset[int]:
        return self.founders | self.joined.keys()

    def with_joined(self, joined: Mapping[int, float | None]) -> "KeptEra":
        """Return the same era with those faces added."""
        return replace(self, joined={**self.joined, **joined})


@dataclass(frozen=True, slots=True)
class EditedEras:
    """Eras as they were changed. ``moved``: old names to the name that their faces are under now."""

    eras: tuple[KeptEra, ...]
    moved: Mapping[str, str] = field(default_factory=dict)


def new_era(table: FaceTable, rows: Rows, name: str) -> KeptEra:
    years = years_of(table.taken[rows])
    first, last = span(years)
    return KeptEra(name, first, dominant_year(years), last, frozenset(table.face_ids[rows].tolist()))


def year_name(main: int | None) -> str:
    return UNDATED if main is None else f"{main:04d}"


def is_year_name(name: str) -> bool:
    """Return whether a name is one that this program gives: of a year, or of no year, and a number where it is taken."""
    return _YEAR_NAME.fullmatch(name) is not None


def free_name(base: str, taken: Collection[str]) -> str:
    """Return ``base``, or the first of ``base_2``, ``base_3``, ... that is not taken."""
    number, name = 1, base
    while name in taken:
        number += 1
        name = f"{base}_{number}"
    return name

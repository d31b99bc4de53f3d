"""Counts of the passes, as stored in the row of a run."""

from dataclasses import fields
from typing import Any, ClassVar, Protocol


class Counts(Protocol):
    """Any dataclass of integers."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


def counts_of(counts: Counts) -> dict[str, int]:
    """Return the integers of a pass's counts, by name."""
    found = {field.name: getattr(counts, field.name) for field in fields(counts)}
    return {name: number for name, number in found.items() if isinstance(number, int)}

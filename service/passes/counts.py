"""What passes count, as the run's row keeps it."""

from dataclasses import fields
from typing import Any, ClassVar, Protocol


class Counts(Protocol):
    """Any dataclass of whole numbers."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


def counts_of(counts: Counts) -> dict[str, int]:
    """The whole numbers of a pass's counts, by name."""
    found = {field.name: getattr(counts, field.name) for field in fields(counts)}
    return {name: number for name, number in found.items() if isinstance(number, int)}

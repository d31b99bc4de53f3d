"""Counts of one publish pass."""

from dataclasses import dataclass, field


@dataclass
class PublishCounts:
    """
    Counts of one publish pass, for the row of the run.

    ``forms``: number of face sets written in formats of other programs. ``kept``: files of others that stayed. ``cut``:
    pictures cut from originals. ``left``: what an export of some people left as it is, in words.
    """

    facesets: int = 0
    written: int = 0
    forms: int = 0
    removed: int = 0
    kept: int = 0
    checked: int = 0
    enriched: int = 0
    cut: int = 0
    left: list[str] = field(default_factory=list)

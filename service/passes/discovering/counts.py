"""The counts of discover."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class DiscoverCounts:
    """Counts of one discover pass, for the row of the run."""

    listed: int = 0
    new: int = 0
    changed: int = 0
    gone: int = 0
    looked: int = 0
    failed: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    bad_spots: int = 0

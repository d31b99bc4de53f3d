"""Windows by age: children change so fast that the year of life separates faces better than similarity does."""

import re
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from immich_facesets.checkpoints import checkpoint
from immich_facesets.dates import completed_years, date_of

_OLDEST, _MOST = 130, 30
_NAME = re.compile(r"age_[0-9]{2,3}_[0-9]{2,3}")


def is_age_name(name: str) -> bool:
    """Return whether a name is one that this program gives to the era of some ages."""
    return _NAME.fullmatch(name.casefold()) is not None


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A range of ages in completed years, both ends included."""

    first: int
    last: int

    @property
    def name(self) -> str:
        """Return the name of the window's era, such as ``age_03_05``."""
        return f"age_{self.first:02d}_{self.last:02d}"


@dataclass(frozen=True, slots=True)
class Childhood:
    """A person's birth date and the age windows to use; windows do not overlap."""

    born: date
    windows: tuple[Window, ...]

    def places(self, taken: NDArray[np.float64]) -> NDArray[np.int64]:
        """
        Return the index of the window of each day, (n,); -1 for no window, before the birth, or an unknown day.

        ``taken``: days since 1970, NaN where unknown.
        """
        found = np.full(len(taken), -1, dtype=np.int64)
        for row in np.flatnonzero(~np.isnan(taken)).tolist():
            checkpoint()
            age = completed_years(self.born, date_of(float(taken[row])))
            for place, window in enumerate(self.windows):
                if window.first <= age <= window.last:
                    found[row] = place
        return found


def read_windows(text: str) -> tuple[Window, ...]:
    """Return the windows of a list such as ``0-2,3-5,6-9``, sorted by age; raise ``ValueError`` for an invalid list."""
    windows = []
    for part in filter(None, map(str.strip, text.split(","))):
        first, dash, last = (piece.strip() for piece in part.partition("-"))
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ValueError(f"{part!r} is no range of ages such as 3-5")
        window = Window(int(first), int(last or first))
        if window.first > window.last or window.last > _OLDEST:
            raise ValueError(f"{part!r} is no range of ages: it must rise, up to {_OLDEST}")
        windows.append(window)
    if len(windows) > _MOST:
        raise ValueError(f"{len(windows)} ranges of ages are too many: {_MOST} at most")
    windows.sort()
    for one, other in pairwise(windows):
        if other.first <= one.last:
            raise ValueError(f"{one.first}-{one.last} and {other.first}-{other.last} overlap")
    return tuple(windows)

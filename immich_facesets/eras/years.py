"""Years in which faces were taken, and the test for a single event."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Years = NDArray[np.int64]

NO_YEAR = 0
"""The year of an undated face."""


def years_of(taken: NDArray[np.float64]) -> Years:
    """Return the year of each day, (n,). ``taken``: days since 1970, NaN where unknown."""
    is_known = ~np.isnan(taken)
    years = np.full(len(taken), NO_YEAR, dtype=np.int64)
    days = np.floor(taken[is_known]).astype(np.int64).astype("datetime64[D]")
    years[is_known] = days.astype("datetime64[Y]").astype(np.int64) + 1970
    return years


def as_years(years: Sequence[int | None], n: int) -> Years:
    """Return a list that may hold None as an array with ``NO_YEAR``."""
    if len(years) != n:
        raise ValueError("every face needs a year, or None")
    return np.array([NO_YEAR if year is None else year for year in years], dtype=np.int64)


def dominant_year(years: Years) -> int | None:
    """Return the most frequent year, the earliest of equals; None when no face is dated."""
    found, counts = np.unique(years[years != NO_YEAR], return_counts=True)
    return int(found[counts.argmax()]) if len(found) else None


def span(years: Years) -> tuple[int | None, int | None]:
    """Return the first and the last year, None when no face is dated."""
    dated = years[years != NO_YEAR]
    return (int(dated.min()), int(dated.max())) if len(dated) else (None, None)


def is_one_event(taken: NDArray[np.float64]) -> bool:
    """Return whether all faces with a known day are of one day; False when no day is known."""
    known = taken[~np.isnan(taken)]
    return len(known) > 0 and bool((np.floor(known) == np.floor(known[0])).all())

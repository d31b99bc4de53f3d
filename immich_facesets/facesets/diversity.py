"""
Diversity: a selection of few faces that shows the most of a person.

A set S of faces has a value:

    value(S) = worths(S) + coverage(S);
    worths(S) = sum of worth(v) over v in S;
    coverage(S) = sum over aspects a of weight(a) * sum over bins b of H(faces of S in b).

H(n) = 1 + 1/2 + ... + 1/n. The first face in a bin (a side view, a day, a light) adds the whole weight of its aspect.
The second adds half of it, and so on. Worths and weights are not negative, so the value is monotone and submodular.
Repeatedly taking the face that adds most therefore reaches at least 1 - 1/e of the best value of any set of that size.
Source: Nemhauser, Wolsey and Fisher, *An analysis of approximations for maximizing submodular set functions*, 1978. The
selection takes n * k steps and uses no random numbers; the first k of the order are the choice of k, for every k.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from immich_facesets.checkpoints import checkpoint

MOST_ORDERED = 500
"""The number of faces chosen by what they add; after them every bin is full, and the others follow in input order."""

EVENT_PAUSE = timedelta(hours=6)
"""Faces that follow each other within this time are of one event, also across midnight."""

_NO_BIN = -1


@dataclass(frozen=True, slots=True)
class Aspect:
    """
    A property in which faces differ.

    ``bins``: (n,) the bin of each face; negative: unknown, which covers nothing.
    """

    bins: NDArray[np.int64]
    weight: float


def order_by_diversity(worth: NDArray[np.float64], aspects: Sequence[Aspect]) -> list[int]:
    """
    Return the rows (n,) in the order in which to take them; ``worth`` is not negative, and rows come best first.

    No beginning of the order has a lower value than as many rows from the top. Constructed bins can make the greedy
    order end below that. Then the rows from the top come first, themselves ordered by diversity.
    """
    count = len(worth)
    first: list[int] = []
    while True:
        order = _greedy(worth, aspects, first)
        ours = _values(order, worth, aspects)
        behind = np.flatnonzero(ours < _values(list(range(len(order))), worth, aspects) - 1e-9)
        if not len(behind):
            break
        kept = int(behind[-1]) + 1
        first = order_by_diversity(worth[:kept], [Aspect(aspect.bins[:kept], aspect.weight) for aspect in aspects])
    taken = set(order)
    return order + [row for row in range(count) if row not in taken]


def value(rows: Sequence[int], worth: NDArray[np.float64], aspects: Sequence[Aspect]) -> float:
    """Return the value of a set of rows."""
    values = _values(rows, worth, aspects)
    return float(values[-1]) if len(values) else 0.0


def binned(values: Sequence[float | None], edges: Sequence[float]) -> NDArray[np.int64]:
    """Return the bin of each value between ascending ``edges``; None and NaN are in none."""
    numbers = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    bins = np.digitize(numbers, edges).astype(np.int64)
    bins[~np.isfinite(numbers)] = _NO_BIN
    return bins


def crossed(one: NDArray[np.int64], other: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    """Return one bin for every pair of bins, of which ``other`` has ``width``; none where either is none."""
    both = one * width + other
    both[(one < 0) | (other < 0)] = _NO_BIN
    return both


def events(taken: Sequence[str | None]) -> NDArray[np.int64]:
    """
    Return the event of each face, by local ISO dates: the same day, or at most six hours after another face of it.

    Faces without a usable date are of none. A date without a time covers its whole day.
    """
    moments = [_moment(text) for text in taken]
    dated = sorted((moment, row) for row, moment in enumerate(moments) if moment is not None)
    found = np.full(len(moments), _NO_BIN, dtype=np.int64)
    number, last = -1, None
    for moment, row in dated:
        is_same = last is not None and (moment.date() == last.date() or moment - last <= EVENT_PAUSE)
        number += not is_same
        found[row], last = number, moment
    return found


def _moment(text: str | None) -> datetime | None:
    try:
        return None if text is None else datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        return None


def _greedy(worth: NDArray[np.float64], aspects: Sequence[Aspect], first: Sequence[int]) -> list[int]:
    """Return the rows ``first``, then always the row that adds most; the upper one of equals."""
    tables = [_Table(aspect, len(worth)) for aspect in aspects]
    gains = worth.astype(np.float64).copy()
    for table in tables:
        gains += table.gains
    order: list[int] = []
    for step in range(min(len(worth), MOST_ORDERED)):
        checkpoint()
        row = first[step] if step < len(first) else int(gains.round(9).argmax())
        order.append(row)
        gains[row] = -np.inf
        for table in tables:
            table.take(row, gains)
    return order


class _Table:
    """The value that each row would currently add in one aspect."""

    def __init__(self, aspect: Aspect, count: int) -> None:
        self._weight = aspect.weight
        self._bins = aspect.bins
        self._counts: dict[int, int] = {}
        self._rows: dict[int, NDArray[np.intp]] = {}
        self.gains = np.where(aspect.bins >= 0, aspect.weight, 0.0)
        if len(aspect.bins) != count:
            raise ValueError(f"{len(aspect.bins)} bins for {count} faces")

    def take(self, row: int, gains: NDArray[np.float64]) -> None:
        """Record that a row was taken: the other rows of its bin now add less."""
        place = int(self._bins[row])
        if place < 0:
            return
        before = self._counts[place] = self._counts.get(place, 0) + 1
        if place not in self._rows:
            self._rows[place] = np.flatnonzero(self._bins == place)
        gains[self._rows[place]] -= self._weight / before - self._weight / (before + 1)


def _values(order: Sequence[int], worth: NDArray[np.float64], aspects: Sequence[Aspect]) -> NDArray[np.float64]:
    """Return the value of every beginning of an order, (k,)."""
    added = worth[list(order)].astype(np.float64)
    for aspect in aspects:
        counts: dict[int, int] = {}
        for place, row in enumerate(order):
            where = int(aspect.bins[row])
            if where >= 0:
                counts[where] = counts.get(where, 0) + 1
                added[place] += aspect.weight / counts[where]
    return np.cumsum(added)

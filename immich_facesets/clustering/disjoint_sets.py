"""Disjoint sets of places 0 to n - 1, joined by arrays of pairs (union-find)."""

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.intp]


class DisjointSets:
    """Disjoint sets (union-find): each place refers to a lower place of its set, and the lowest to itself."""

    def __init__(self, n: int) -> None:
        self._lower = np.arange(n)

    def lowest(self, places: Places) -> Places:
        """Return the lowest place of the set of each of ``places``."""
        found: Places = self._lower[places]
        while True:
            lower = self._lower[found]
            if np.array_equal(lower, found):
                break
            found = lower
        self._lower[places] = found
        return found

    def join(self, one: Places, two: Places) -> None:
        """Merge the sets of both sides of each pair."""
        while len(one):
            one, two = self.lowest(one), self.lowest(two)
            is_apart = one != two
            one, two = one[is_apart], two[is_apart]
            np.minimum.at(self._lower, np.maximum(one, two), np.minimum(one, two))

    def is_one(self, places: Places) -> bool:
        """Return whether all ``places`` are already in one set."""
        lowest = self.lowest(places)
        return bool((lowest == lowest[0]).all())

    def is_joined(self, one: int, two: int) -> bool:
        """Return whether two places are in one set; for a single pair this is faster than ``lowest``."""
        return self._lowest_of(one) == self._lowest_of(two)

    def _lowest_of(self, place: int) -> int:
        lower = self._lower
        while lower[place] != place:
            lower[place] = lower[lower[place]]
            place = int(lower[place])
        return place

    def labels(self) -> NDArray[np.int64]:
        """Return one label per place, (n,): the lowest place of its set."""
        return self.lowest(np.arange(len(self._lower))).astype(np.int64)

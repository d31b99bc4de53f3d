"""
Average linkage of one large component: reciprocal nearest neighbours merge in rounds until few clusters are left.

A cluster is a mean and a size. Each keeps a list of its nearest clusters at its last full search, and a floor: no
unlisted cluster is nearer than that. Reducibility keeps both valid while others merge. A merged cluster gets the union
of the two lists and the weighted mean of the two floors. So most searches are answered from a list, and a full search
over all means is rare. Full searches use single precision; double precision decides wherever single could err.
"""

import numpy as np
from numpy.typing import NDArray

from immich_facesets.checkpoints import checkpoint
from immich_facesets.clustering.blocked_products import BLOCK_CELLS, SLACK, pair_products

Places = NDArray[np.intp]

REMEMBERED = 16
"""The number of neighbours in the list of a cluster."""

EMPTY = -1


class Rounds:
    """
    The clusters of a component while they merge. ``means``: (m, d); a place is a row of it.

    ``merged_into``: the place that each place was merged into, or itself. ``is_stale``: places whose ``nearest`` has
    merged since. Among them, ``is_new`` are searched at once; the others when they are the nearest of a place that is
    not stale.
    """

    def __init__(self, units: NDArray[np.float64], sizes: NDArray[np.float64], cut: float) -> None:
        n = len(units)
        self.cut = cut
        self.means = units
        self.coarse = units.astype(np.float32)
        self.sizes = sizes.copy()
        self.nearest = np.zeros(n, dtype=np.intp)
        self.known = np.full((n, REMEMBERED), EMPTY, dtype=np.intp)
        self.floor = np.full(n, -np.inf)
        self.is_stale = np.ones(n, dtype=np.bool_)
        self.is_new = np.ones(n, dtype=np.bool_)
        self.is_removed = np.zeros(n, dtype=np.bool_)
        self.merged_into = np.arange(n)
        self.place_of = np.arange(n)  # of each row; EMPTY once its cluster is finished
        self.label_of = np.full(n, EMPTY, dtype=np.int64)  # of each row; EMPTY until its cluster is finished
        self.finished = 0

    def run(self, enough: int) -> None:
        """Merge until at most ``enough`` clusters are left that may still merge, and drop the others."""
        while len(self.is_removed) - np.count_nonzero(self.is_removed) > enough:
            is_fresh = ~(self.is_stale | self.is_removed)
            is_wanted = self.is_new.copy()
            is_wanted[self.nearest[is_fresh]] = True
            is_wanted &= self.is_stale
            self._search(np.flatnonzero(is_wanted if is_wanted.any() else self.is_stale))
            self._merge()
            if np.count_nonzero(self.is_removed) * 8 > len(self.is_removed):
                self._compact()
        self._compact()

    def _search(self, places: Places) -> None:
        """Find the nearest neighbours of ``places``, and of those needed next where they add no cost."""
        unknown = places[~self._recall(places, self.known[places], self.floor[places])]
        if 0 < len(unknown) <= REMEMBERED:
            next_asked = self.known[self.nearest[unknown]]
            next_asked = self.merged_into[next_asked[next_asked != EMPTY]]
            unknown = np.union1d(unknown, next_asked[self.is_stale[next_asked] & ~self.is_removed[next_asked]])
        self._look_around(unknown)
        self.is_stale[places] = self.is_new[places] = False
        self.is_stale[unknown] = self.is_new[unknown] = False

    def _recall(self, places: Places, lists: Places, floors: NDArray[np.float64]) -> NDArray[np.bool_]:
        """
        Find the nearest neighbours from the lists (p, any width); return for which places they determine it.

        A list does not determine it where its nearest entry is not below the floor. Lists, cut to the nearest entries,
        and floors are stored.
        """
        is_known = np.zeros(len(places), dtype=np.bool_)
        for start in range(0, len(places), 256):
            checkpoint()
            part = slice(start, start + 256)
            is_known[part] = self._recall_some(places[part], lists[part], floors[part])
        return is_known

    def _recall_some(self, places: Places, lists: Places, floors: NDArray[np.float64]) -> NDArray[np.bool_]:
        lists = np.sort(np.where(lists == EMPTY, EMPTY, self.merged_into[lists]), axis=1)
        is_other = (lists != EMPTY) & (lists != places[:, None]) & ~self.is_removed[lists]
        is_other[:, 1:] &= lists[:, 1:] != lists[:, :-1]
        row, column = np.nonzero(is_other)
        distances = np.full(lists.shape, np.inf)
        distances[row, column] = 1.0 - pair_products(self.means, places[row], lists[row, column])
        if lists.shape[1] > REMEMBERED:
            order = np.argsort(distances, axis=1, kind="stable")[:, : REMEMBERED + 1]
            lists, distances = np.take_along_axis(lists, order, axis=1), np.take_along_axis(distances, order, axis=1)
            floors = np.minimum(floors, distances[:, -1])
            lists, distances = lists[:, :-1], distances[:, :-1]
        self.known[places] = np.where(np.isinf(distances), EMPTY, lists)
        self.floor[places] = floors
        here, first = np.arange(len(places)), distances.argmin(axis=1)
        best = distances[here, first]
        self.nearest[places] = lists[here, first]
        is_isolated = np.minimum(best, floors) >= self.cut
        self._finish(places[is_isolated])
        is_known: NDArray[np.bool_] = (best < floors) | is_isolated
        return is_known

    def _look_around(self, places: Places) -> None:
        """Compare ``places`` with all means, and store lists, floors and the nearest."""
        bias = np.where(self.is_removed, np.float32(-np.inf), np.float32(0))
        width = min(REMEMBERED, len(self.is_removed) - 1)
        step = max(1, BLOCK_CELLS // len(self.is_removed))
        for start in range(0, len(places), step):
            checkpoint()
            some = places[start : start + step]
            here = np.arange(len(some))[:, None]
            likeness = self.coarse[some] @ self.coarse.T
            likeness += bias
            likeness[here[:, 0], some] = -np.inf
            self.known[some] = EMPTY
            listed = np.argpartition(likeness, -width, axis=1)[:, -width:]
            values = likeness[here, listed]
            self.known[some, :width] = np.where(np.isinf(values), EMPTY, listed)
            self.floor[some] = 1.0 - values.min(axis=1).astype(np.float64) - SLACK
            close = np.nonzero(likeness >= (values.max(axis=1) - np.float32(SLACK))[:, None])
            products = pair_products(self.means, some[close[0]], close[1])
            first = np.lexsort((close[1], -products, close[0]))
            first = first[np.unique(close[0][first], return_index=True)[1]]
            self.nearest[some] = close[1][first]
            self._finish(some[~(1.0 - products[first] < self.cut)])

    def _finish(self, places: Places) -> None:
        """Finish clusters that have no other within the cut, and exclude them from further searches."""
        if len(places) == 0:
            return
        self.is_removed[places] = True
        self.is_stale[places] = self.is_new[places] = False
        label = np.full(len(self.is_removed), EMPTY, dtype=np.int64)
        label[places] = self.finished + np.arange(len(places))
        self.finished += len(places)
        rows = np.flatnonzero(self.place_of != EMPTY)
        labels = label[self.merged_into[self.place_of[rows]]]
        rows = rows[labels != EMPTY]
        self.label_of[rows] = labels[labels != EMPTY]
        self.place_of[rows] = EMPTY

    def _merge(self) -> None:
        """Merge all reciprocal nearest neighbours, and update the results from their lists at once."""
        is_fresh = ~(self.is_stale | self.is_removed)
        one = np.flatnonzero(is_fresh & is_fresh[self.nearest])
        one = one[(self.nearest[self.nearest[one]] == one) & (one < self.nearest[one])]
        two = self.nearest[one]
        share = (self.sizes[one] / (self.sizes[one] + self.sizes[two]))[:, None]
        self.means[one] = share * self.means[one] + (1 - share) * self.means[two]
        self.coarse[one] = self.means[one]
        self.sizes[one] += self.sizes[two]
        target = np.arange(len(self.merged_into))
        target[two] = one
        self.merged_into = target[self.merged_into]
        self.is_removed[two] = True
        is_touched = np.zeros(len(self.merged_into), dtype=np.bool_)
        is_touched[one] = is_touched[two] = True
        self.is_stale = (self.is_stale | is_touched[self.nearest]) & ~self.is_removed
        floors = share[:, 0] * self.floor[one] + (1 - share[:, 0]) * self.floor[two]
        is_known = self._recall(one, np.hstack([self.known[one], self.known[two]]), floors)
        self.is_stale[one] = self.is_new[one] = ~is_known

    def _compact(self) -> None:
        """Remove the places of merged and finished clusters."""
        kept = np.flatnonzero(~self.is_removed)
        place = np.full(len(self.merged_into) + 1, EMPTY, dtype=np.intp)  # the last is the place of EMPTY
        place[kept] = np.arange(len(kept))
        is_placed = self.place_of != EMPTY
        self.place_of[is_placed] = place[self.merged_into[self.place_of[is_placed]]]
        known = self.known[kept]
        self.known = np.where(known == EMPTY, EMPTY, place[self.merged_into[known]])
        self.nearest = np.maximum(
            place[self.merged_into[self.nearest[kept]]], 0
        )  # the value for stale places does not matter
        for name in ("means", "coarse", "sizes", "floor", "is_stale", "is_new", "is_removed"):
            setattr(self, name, getattr(self, name)[kept])
        self.merged_into = np.arange(len(kept))

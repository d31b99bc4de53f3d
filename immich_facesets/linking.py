"""
Link clusters: halfway between average and centroid linkage, and never against what is known to be apart.

With S the sum of a cluster's vectors and w their weight, average linkage compares ``S/w`` and centroid linkage
``S/|S|``. The first is as strict with two large clusters, whose means are sure, as with two single faces; the second
trusts a mean so much that kin and chains of years run together. Here a cluster is the geometric mean of the two,
``S / sqrt(w |S|)``, and likeness is the inner product: for single faces their cosine, for larger clusters growing with
how sure their means are. On the faces of LFW it takes BCubed F from 0.9925 (average linkage at the best of all cuts)
to 0.9940.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from immich_facesets.products import BLOCK_CELLS

PAIR_NORM = 0.8
"""
The squared length of the mean of two faces of one person, whose cosine is 0.59 in the mean (MobileFaceNet on LFW):
at such pairs both ways of comparing agree, hence the likeness of a cut of average linkage.
"""


def least_likeness(cut: float) -> float:
    """From which likeness on two clusters are one person, where average linkage would be cut at ``cut``."""
    return float((1.0 - cut) / np.sqrt(PAIR_NORM))


@dataclass
class Clusters:
    """
    What is linked. The first ``anchors`` are identities that exist, which never merge with one another.

    ``sums``: (k, d) weighted sums of unit vectors; ``weights``: (k,). ``seats``: the pictures of each that may hold a
    person once. ``barred``: for each the anchors that it must not join.
    """

    sums: NDArray[np.float64]
    weights: NDArray[np.float64]
    seats: Sequence[set[int]]
    barred: Sequence[set[int]]
    anchors: int


@dataclass
class Linked:
    """``groups``: places of clusters that are one person, its anchor first; ``torn``: place to two possible anchors."""

    groups: list[list[int]] = field(default_factory=list)
    torn: dict[int, tuple[int, int]] = field(default_factory=dict)


def link(clusters: Clusters, *, least: float, margin: float) -> Linked:
    """
    Merge the two most alike clusters until no two that may be one person have a likeness of ``least``.

    A cluster that is as like a second anchor, but for less than ``margin``, joins none of them and is ``torn``.
    """
    return _Linking(clusters, least, margin).run()


class _Linking:
    """
    Clusters while they merge; a merged one lives on in the lower place.

    A merger's mean is shorter than its parts', so likeness can grow, at most by ``least ** -0.25``, as parts that are
    linked leave no mean shorter than the root of ``least``: who is below ``floor`` once is never looked at again.
    """

    def __init__(self, clusters: Clusters, least: float, margin: float) -> None:
        self.least, self.margin = least, margin
        self.floor = float(np.sign(least) * abs(least) ** 1.25)
        self.anchors = clusters.anchors
        self.sums, self.weights = clusters.sums.copy(), clusters.weights.copy()
        self.looks = _looks(self.sums, self.weights)
        self.seats = [set(seats) for seats in clusters.seats]
        self.barred = [set(barred) for barred in clusters.barred]
        self.members = [[place] for place in range(len(self.weights))]
        self.age = [0] * len(self.weights)
        self.near = _near(self.looks, self.anchors, self.floor)
        self.torn: dict[int, tuple[int, int]] = {}

    def run(self) -> Linked:
        self.queue: list[tuple[float, int, int, int, int]] = []
        for place, near in enumerate(self.near):
            self._enqueue(place, [other for other in near if other > place])
        heapq.heapify(self.queue)
        while self.queue:
            negative, one, two, age_one, age_two = heapq.heappop(self.queue)
            if self.age[one] != age_one or self.age[two] != age_two or not self._may(one, two):
                continue
            if one < self.anchors and self._is_torn(one, two, -negative):
                continue
            self._merge(one, two)
        alive = [place for place, age in enumerate(self.age) if age >= 0]
        torn = {place: pair for place, pair in self.torn.items() if self.age[place] >= 0}
        return Linked([self.members[place] for place in alive], torn)

    def _may(self, one: int, two: int) -> bool:
        """Whether nothing tells these apart; ``one`` is the lower, hence the anchor if any is."""
        return one not in self.barred[two] and self.seats[one].isdisjoint(self.seats[two])

    def _is_torn(self, anchor: int, place: int, likeness: float) -> bool:
        """Whether another anchor, which the cluster may join, is hardly less like it."""
        others = [other for other in self.near[place] if other < self.anchors and other != anchor]
        others = [other for other in others if self._may(other, place)]
        if not others:
            return False
        also = self.looks[others] @ self.looks[place]
        best = int(also.argmax())
        if also[best] < self.least or likeness - also[best] >= self.margin:
            return False
        self.torn[place] = (anchor, others[best])
        return True

    def _merge(self, one: int, two: int) -> None:
        self.sums[one] += self.sums[two]
        self.weights[one] += self.weights[two]
        self.looks[one] = _looks(self.sums[one : one + 1], self.weights[one : one + 1])[0]
        self.members[one] += self.members[two]
        self.seats[one] |= self.seats[two]
        self.barred[one] |= self.barred[two]
        self.age[one] += 1
        self.age[two] = -1
        self.torn.pop(one, None)
        near = sorted((self.near[one] | self.near[two]) - {one, two})
        for other in self.near[two]:
            self.near[other].discard(two)
        if one < self.anchors:
            near = [other for other in near if other >= self.anchors]
        likeness = self.looks[near] @ self.looks[one]
        for other, is_near in zip(near, (likeness >= self.floor).tolist(), strict=True):
            (self.near[other].add if is_near else self.near[other].discard)(one)
        self.near[one] = {
            other for other, is_near in zip(near, (likeness >= self.floor).tolist(), strict=True) if is_near
        }
        self._enqueue(one, sorted(self.near[one]), is_heap=True)

    def _enqueue(self, place: int, others: list[int], *, is_heap: bool = False) -> None:
        """Put the pairs of ``place`` and ``others`` that are alike enough into the queue."""
        if not others:
            return
        for other, likeness in zip(others, (self.looks[others] @ self.looks[place]).tolist(), strict=True):
            if likeness < self.least:
                continue
            one, two = min(place, other), max(place, other)
            entry = (-likeness, one, two, self.age[one], self.age[two])
            if is_heap:
                heapq.heappush(self.queue, entry)
            else:
                self.queue.append(entry)


def _looks(sums: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each cluster as one vector, (k, d): its centroid, as long as the root of the length of its mean."""
    lengths = np.linalg.norm(sums, axis=1)
    looks: NDArray[np.float64] = sums / np.sqrt(np.maximum(weights * lengths, 1e-12))[:, None]
    return looks


def _near(looks: NDArray[np.float64], anchors: int, floor: float) -> list[set[int]]:
    """For each cluster the others with a likeness of ``floor`` or more; anchors do not look at one another."""
    k = len(looks)
    near: list[set[int]] = [set() for _ in range(k)]
    coarse = looks.astype(np.float32)
    step = max(1, BLOCK_CELLS // max(1, k))
    for start in range(0, k, step):
        first = max(start, anchors if start + step <= anchors else 0)
        likeness = coarse[start : start + step] @ coarse[first:].T
        ones, twos = np.nonzero(likeness >= floor - 1e-5)
        for one, two in zip((ones + start).tolist(), (twos + first).tolist(), strict=True):
            if one != two and not (one < anchors and two < anchors):
                near[one].add(two)
                near[two].add(one)
    return near

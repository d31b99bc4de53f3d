"""
Linking of clusters, halfway between average and centroid linkage, under cannot-link constraints.

With S the sum of a cluster's vectors and w their weight, average linkage compares ``S/w`` and centroid linkage
``S/|S|``. Average linkage is as strict with two large clusters, whose means are reliable, as with two single faces.
Centroid linkage trusts the means so much that relatives, and chains of photos over the years, are merged. Here a
cluster is represented by the geometric mean of the two, ``S / sqrt(w |S|)``, and likeness is the inner product. For
single faces it is their cosine; for larger clusters it grows with the reliability of their means. On LFW it raises
BCubed F from 0.9925 (average linkage at its best cut) to 0.9940.
"""

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from immich_facesets.checkpoints import checkpoint
from immich_facesets.clustering.blocked_products import BLOCK_CELLS, SLACK
from immich_facesets.grouping.contemporaries import Contemporaries, YearSums
from immich_facesets.grouping.face_table import Rows

PAIR_NORM = 0.8
"""
The squared length of the mean of two faces of one person, whose cosine is 0.59 on average (MobileFaceNet on LFW).

For such pairs this linkage and average linkage agree; that converts a cut of average linkage into a likeness.
"""

LARGE = 3.0
"""The least weight of a cluster whose faces of the same years are compared with those of another."""


def least_likeness(cut: float) -> float:
    """Return the least likeness of two clusters of one person that corresponds to ``cut`` of average linkage."""
    return float((1.0 - cut) / np.sqrt(PAIR_NORM))


@dataclass
class Clusters:
    """
    The clusters to link. The first ``anchors`` are existing identities, which never merge with each other.

    ``sums``: (k, d) weighted sums of unit vectors; ``weights``: (k,). ``pictures``: for each cluster, its pictures that
    may hold a person only once. ``cannot_link``: for each cluster, the anchors that it must not join. ``rows``: the
    faces of each cluster, for ``contemporaries``, which says of large clusters whether they are two people.
    """

    sums: NDArray[np.float64]
    weights: NDArray[np.float64]
    pictures: Sequence[set[int]]
    cannot_link: Sequence[set[int]]
    anchors: int
    rows: Sequence[Rows]
    contemporaries: Contemporaries


@dataclass
class Linked:
    """
    The result of linking.

    ``groups``: places of clusters that are one person, its anchor first. ``ambiguous``: for the place of each ambiguous
    cluster, its two possible anchors.
    """

    groups: list[list[int]] = field(default_factory=list)
    ambiguous: dict[int, tuple[int, int]] = field(default_factory=dict)


def link(clusters: Clusters, *, least: float, margin: float) -> Linked:
    """
    Merge the two most similar clusters until no allowed pair has a likeness of ``least`` or more.

    A cluster whose likenesses to two anchors differ by less than ``margin`` joins neither and is ambiguous.
    """
    return _Linking(clusters, least, margin).run()


class _Linking:
    """
    The state of the clusters while they merge; a merged cluster takes the lower of the two places.

    The mean of a merged cluster is shorter than those of its parts, so its likeness to others can grow. It grows by
    ``least ** -1`` at most, as linked parts leave no mean shorter than ``least``. Tracking all pairs within that reach
    would be too many. Hence pairs below ``floor`` are not tracked; few of them ever come near. At the end every merged
    cluster is compared once more with all remaining ones.
    """

    def __init__(self, clusters: Clusters, least: float, margin: float) -> None:
        self.least, self.margin = least, margin
        self.floor = least**1.25 if least > 0 else -1.0
        self.anchors = clusters.anchors
        self.weights = clusters.weights.copy()
        self.scales = scales(clusters.sums, self.weights)
        self.representatives: NDArray[np.float64] = clusters.sums / self.scales[:, None]
        self.pictures = [set(pictures) for pictures in clusters.pictures]
        self.cannot_link = [set(cannot_link) for cannot_link in clusters.cannot_link]
        self.members = [[place] for place in range(len(self.weights))]
        self.rows = list(clusters.rows)
        self.contemporaries = clusters.contemporaries
        self.year_sums: dict[int, YearSums] = {}
        self.version = [0] * len(self.weights)
        self.neighbours: list[set[int]] = [set() for _ in self.members]
        self.merged: set[int] = set()
        self.ambiguous: dict[int, tuple[int, int]] = {}
        self.queue: list[tuple[float, int, int, int, int]] = []

    def run(self) -> Linked:
        every_place = np.arange(len(self.members))
        self._track(every_place, every_place, self.floor)
        while self.queue:
            while self.queue:
                checkpoint()
                _, one, two, version_one, version_two = heapq.heappop(self.queue)
                if self.version[one] != version_one or self.version[two] != version_two or not self._may(one, two):
                    continue
                if one < self.anchors and self._is_ambiguous(two):
                    continue
                self._merge(one, two)
            merged = np.array(sorted(self.merged), dtype=np.intp)
            self.merged.clear()
            self._track(merged, np.flatnonzero(np.array(self.version) >= 0), self.least)
        remaining = [place for place, version in enumerate(self.version) if version >= 0]
        return Linked([self.members[place] for place in remaining], self.ambiguous)

    def _track(self, some: NDArray[np.intp], others: NDArray[np.intp], floor: float) -> None:
        """Start to track the pairs of ``some`` and ``others`` with a likeness of ``floor`` or more."""
        for one, two in _alike(self.representatives, some, others, floor):
            checkpoint()
            if one == two or two in self.neighbours[one] or max(one, two) < self.anchors:
                continue
            self.neighbours[one].add(two)
            self.neighbours[two].add(one)
            self._enqueue(one, [two], self.representatives[[two]] @ self.representatives[one])

    def _may(self, one: int, two: int) -> bool:
        """Return whether no constraint separates the two; ``one`` is the lower place, hence the anchor if any is."""
        if one in self.cannot_link[two] or not self.pictures[one].isdisjoint(self.pictures[two]):
            return False
        if min(self.weights[one], self.weights[two]) < LARGE:
            return True
        return not self.contemporaries.are_two_people(self._years_of(one), self._years_of(two))

    def _years_of(self, place: int) -> YearSums:
        if place not in self.year_sums:
            self.year_sums[place] = self.contemporaries.year_sums(self.rows[place])
        return self.year_sums[place]

    def _is_ambiguous(self, place: int) -> bool:
        """Return whether the two best anchors that a cluster may join are almost equally similar to it."""
        anchors = sorted(other for other in self.neighbours[place] if other < self.anchors and self._may(other, place))
        likeness = self.representatives[anchors] @ self.representatives[place]
        first, second = (*np.argsort(-likeness, kind="stable")[:2].tolist(), None)[:2]
        if second is None or likeness[second] < self.least or likeness[first] - likeness[second] >= self.margin:
            return False
        self.ambiguous[place] = (anchors[first], anchors[second])
        return True

    def _merge(self, one: int, two: int) -> None:
        total = self.representatives[one] * self.scales[one] + self.representatives[two] * self.scales[two]
        self.weights[one] += self.weights[two]
        self.scales[one] = scales(total[None], self.weights[one : one + 1])[0]
        self.representatives[one] = total / self.scales[one]
        self.members[one] += self.members[two]
        self.rows[one] = np.concatenate([self.rows[one], self.rows[two]])
        if one in self.year_sums:
            self.year_sums[one] = self.year_sums[one].merged(self._years_of(two))
        self.year_sums.pop(two, None)
        self.pictures[one] |= self.pictures[two]
        self.cannot_link[one] |= self.cannot_link[two]
        self.version[one] += 1
        self.version[two] = -1
        self.merged.discard(two)
        self.merged.add(one)
        self._replace_neighbours(one, two)
        for place in [place for place, pair in self.ambiguous.items() if place in (one, two) or one in pair]:
            del self.ambiguous[place]
            if place not in (one, two):  # one of the two anchors changed: the cluster may no longer be ambiguous
                anchors = sorted(other for other in self.neighbours[place] if other < self.anchors)
                self._enqueue(place, anchors, self.representatives[anchors] @ self.representatives[place])

    def _replace_neighbours(self, one: int, two: int) -> None:
        """Track the clusters near either part of a merged cluster as near the whole, unless they are now too far."""
        known = self.neighbours[one] | self.neighbours[two]
        for other in known:
            self.neighbours[other] -= {one, two}
        others = sorted(other for other in known - {one, two} if max(one, other) >= self.anchors)
        likeness = self.representatives[others] @ self.representatives[one]
        self.neighbours[one] = {
            other for other, is_near in zip(others, (likeness >= self.floor).tolist(), strict=True) if is_near
        }
        for other in self.neighbours[one]:
            self.neighbours[other].add(one)
        self._enqueue(one, others, likeness)

    def _enqueue(self, place: int, others: list[int], likeness: NDArray[np.float64]) -> None:
        """Add the pairs of ``place`` and ``others`` with a likeness of at least ``least`` to the queue."""
        for other, alike in zip(others, likeness.tolist(), strict=True):
            if alike >= self.least:
                one, two = min(place, other), max(place, other)
                heapq.heappush(self.queue, (-alike, one, two, self.version[one], self.version[two]))


def scales(sums: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the divisors, (k,), that scale each sum to the square root of the length of its mean."""
    scales: NDArray[np.float64] = np.sqrt(np.maximum(weights * np.linalg.norm(sums, axis=1), 1e-12))
    return scales


def _alike(
    representatives: NDArray[np.float64], some: NDArray[np.intp], others: NDArray[np.intp], floor: float
) -> Iterator[tuple[int, int]]:
    """Yield pairs of ``some`` and ``others`` with a likeness of ``floor``, less the error of single precision."""
    coarse = representatives[others].astype(np.float32)
    side = max(1, math.isqrt(BLOCK_CELLS))
    for start in range(0, len(some), side):
        block = some[start : start + side]
        singles = representatives[block].astype(np.float32)
        # When all clusters are compared with all, earlier blocks have already covered the pairs before ``start``.
        for first in range(start if some is others else 0, len(others), side):
            checkpoint()
            likeness = singles @ coarse[first : first + side].T
            ones, twos = np.divmod(np.flatnonzero(likeness >= floor - SLACK), likeness.shape[1])
            yield from zip(block[ones].tolist(), others[first + twos].tolist(), strict=True)

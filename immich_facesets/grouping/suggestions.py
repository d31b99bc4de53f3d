"""Pairs of identities that may be one person."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from immich_facesets.clustering.blocked_products import row_blocks
from immich_facesets.grouping.centroids import cosine_distances
from immich_facesets.grouping.cluster_linking import least_likeness, scales
from immich_facesets.grouping.contemporaries import Contemporaries, YearSums
from immich_facesets.grouping.identities import People
from immich_facesets.grouping.problem import GroupingProblem
from immich_facesets.grouping.rivals import Doubtful
from immich_facesets.grouping.state import PlacedIdentities


@dataclass(frozen=True, slots=True)
class Suggestion:
    """
    Two identities that may be one person, and the distance of their centroids.

    ``reach``: their likeness as clusters, above the least at which two clusters are linked; larger ones are surer.
    ``excess``: how much more their faces of the same years differ than those of each, NaN where too few tell.
    """

    identity: int
    other: int
    distance: float
    reach: float = math.nan
    excess: float = math.nan


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two identities of which ``faces`` fit the other as well: too many for each to be a mistake of its own."""

    identity: int
    other: int
    faces: int


FEWEST_OVERLAPPING, SHARE_OVERLAPPING = 5, 0.15
"""So many faces, and such a share of all faces of two identities, fit the other as well where the two overlap."""


def suggested_merges(problem: GroupingProblem, people: People, placed: PlacedIdentities) -> tuple[Suggestion, ...]:
    """Return identities within the match distance of each other that no picture, source or decision separates."""
    found = []
    separate, likeness = _Separate(problem, people, placed), _Likeness(problem, placed)
    for part in row_blocks(len(placed.numbers), len(placed.numbers)):
        distances = cosine_distances(placed.centroids[part], placed.centroids)
        for i, two in np.argwhere(distances <= problem.thresholds.match).tolist():
            one = part.start + i
            if one < two and not separate.are(one, two):
                pair = (int(placed.numbers[one]), int(placed.numbers[two]))
                found.append(Suggestion(*pair, float(distances[i, two]), *likeness.of(one, two)))
    return tuple(sorted(found, key=lambda pair: (pair.distance, pair.identity, pair.other)))


def overlaps(
    problem: GroupingProblem, people: People, placed: PlacedIdentities, doubtful: Sequence[Doubtful]
) -> tuple[Overlap, ...]:
    """Return identities that so many doubtful members have in common that they may be one; nothing separates them."""
    pairs = Counter(
        (min(one.identity, one.other), max(one.identity, one.other)) for one in doubtful if one.other is not None
    )
    separate, found = _Separate(problem, people, placed), []
    for pair, faces in sorted(pairs.items()):
        one, two = np.searchsorted(placed.numbers, pair).tolist()
        size = len(placed.members[one]) + len(placed.members[two])
        is_much = faces >= FEWEST_OVERLAPPING and faces >= SHARE_OVERLAPPING * size
        if is_much and not separate.are(one, two):
            found.append(Overlap(*pair, faces))
    return tuple(found)


class _Separate:
    """The facts that separate two identities: a picture, names of a source, a decision; by place in ``placed``."""

    def __init__(self, problem: GroupingProblem, people: People, placed: PlacedIdentities) -> None:
        self._problem, self._people, self._placed = problem, people, placed
        self._pictures: dict[int, set[int]] = {}

    def are(self, one: int, two: int) -> bool:
        """Return whether two identities are certainly two people; the lower place comes first."""
        pair = (int(self._placed.numbers[one]), int(self._placed.numbers[two]))
        if pair in self._problem.constraints.apart or self._people.conflict(*pair):
            return True
        return not self._pictures_of(one).isdisjoint(self._pictures_of(two))

    def _pictures_of(self, place: int) -> set[int]:
        if place not in self._pictures:
            rows = self._placed.members[place]
            self._pictures[place] = self._problem.constraints.exclusive_pictures(rows)
        return self._pictures[place]


class _Likeness:
    """The figures by which grouping links clusters, of identities that are named as alike; by place in ``placed``."""

    def __init__(self, problem: GroupingProblem, placed: PlacedIdentities) -> None:
        self._problem, self._placed = problem, placed
        self._contemporaries = Contemporaries(problem.faces, problem.thresholds.near, problem.thresholds.cluster)
        self._years: dict[int, YearSums] = {}

    def of(self, one: int, two: int) -> tuple[float, float]:
        """Return the reach and the excess of two identities."""
        first, second = (self._problem.centroids.mass(self._placed.members[place]) for place in (one, two))
        totals, weights = np.stack([first.total, second.total]), np.array([first.weight, second.weight])
        likeness = float(totals[0] @ totals[1] / scales(totals, weights).prod())
        reach = likeness - least_likeness(self._problem.thresholds.cluster)
        return reach, self._contemporaries.excess(self._years_of(one), self._years_of(two))

    def _years_of(self, place: int) -> YearSums:
        if place not in self._years:
            self._years[place] = self._contemporaries.year_sums(self._placed.members[place])
        return self._years[place]

"""
The likeness of two clusters in the years that both have faces of.

A child and the grown person differ, and so do relatives; distances of whole clusters do not tell the one from the other.
The faces of one person from one year do not differ by more than usual, those of relatives do. So two clusters are two
people when their faces of the same years differ clearly more than the faces within each.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from immich_facesets.clustering.linkage import average_linkage, split_by
from immich_facesets.grouping.face_table import FaceTable, Rows

DAYS_OF_YEAR = 365.25

APART = 0.3
"""
How much more the faces of one year differ between two people than within each, as a share of the cluster cut.

In invented libraries of relatives at 0.4 to 0.47, the excess is 0.37 and more of a cut of 0.65. On LFW, all taken as
of one year, two parts of one person exceed by 0.2 at most.
"""

FEWEST_PAIRS = 9.0
"""The fewest pairs of moments that say something of two clusters: three of each in one year."""

FEWEST_WITHIN = 3.0
"""The fewest pairs of moments of one year that say how much the faces of a cluster differ."""


@dataclass(frozen=True, slots=True)
class YearSums:
    """
    The moments of a cluster by year; a moment is one picture, or several near-identical ones.

    ``years``: (k,), ascending. ``counts``: (k,) moments. ``sums``: (k, d), of the moments' mean vectors. ``pairs``: how
    many pairs of moments of one year there are. ``total``: the sum of their cosine distances.
    """

    years: NDArray[np.int64]
    counts: NDArray[np.float64]
    sums: NDArray[np.float64]
    pairs: float
    total: float

    @property
    def within(self) -> float:
        """Return the mean cosine distance of two moments of one year, NaN without such a pair."""
        return self.total / self.pairs if self.pairs else math.nan

    def pairs_with(self, other: Self) -> tuple[float, float]:
        """Return how many pairs of moments the two have in the same years, and the sum of their distances."""
        _, ours, theirs = np.intersect1d(self.years, other.years, assume_unique=True, return_indices=True)
        pairs = float(self.counts[ours] @ other.counts[theirs])
        return pairs, pairs - float(np.einsum("ij,ij->", self.sums[ours], other.sums[theirs]))

    def merged(self, other: Self) -> Self:
        """Return the moments of both, as if no moment had faces of both."""
        years, place = np.unique(np.concatenate([self.years, other.years]), return_inverse=True)
        counts, sums = np.zeros(len(years)), np.zeros((len(years), self.sums.shape[1]))
        np.add.at(counts, place, np.concatenate([self.counts, other.counts]))
        np.add.at(sums, place, np.concatenate([self.sums, other.sums]))
        pairs, total = self.pairs_with(other)
        return type(self)(years, counts, sums, self.pairs + other.pairs + pairs, self.total + other.total + total)


class Contemporaries:
    """Years and vectors of the faces of a table. ``near``, ``cut``: the distances of moments and of clusters."""

    def __init__(self, faces: FaceTable, near: float, cut: float) -> None:
        self._vectors = faces.vectors
        self._years = np.floor(faces.taken / DAYS_OF_YEAR)
        self._near = near
        self._excess = APART * cut

    def year_sums(self, rows: Rows) -> YearSums:
        """Return the moments of ``rows`` by year; undated faces count in none."""
        dated = np.sort(rows[np.isfinite(self._years[rows])])
        years, which = np.unique(self._years[dated], return_inverse=True)
        counts, sums = np.zeros(len(years)), np.zeros((len(years), self._vectors.shape[1]))
        pairs = total = 0.0
        for year, part in enumerate(split_by(which)):
            moments = np.array(list(self._moments(dated[part])))
            counts[year], sums[year] = len(moments), moments.sum(axis=0)
            both = len(moments) * (len(moments) - 1)
            pairs += both / 2
            total += (both - float(sums[year] @ sums[year]) + float(np.einsum("ij,ij->", moments, moments))) / 2
        return YearSums(years.astype(np.int64), counts, sums, pairs, total)

    def _moments(self, rows: Rows) -> Iterator[NDArray[np.float64]]:
        """Yield the mean vector of each moment of ``rows``, (d,), of unit length."""
        vectors = self._vectors[rows].astype(np.float64)
        for moment in split_by(average_linkage(self._vectors[rows], self._near)):
            mean = vectors[moment].mean(axis=0)
            yield mean / max(float(np.linalg.norm(mean)), 1e-9)

    def are_two_people(self, one: YearSums, other: YearSums, *, is_strict: bool = False) -> bool:
        """
        Return whether the faces of the same years show that these are two people; False with too few such faces.

        ``is_strict`` compares with the cluster whose own faces differ more: those of one event hardly differ at all.
        """
        return self.excess(one, other, is_strict=is_strict) > self._excess

    @staticmethod
    def excess(one: YearSums, other: YearSums, *, is_strict: bool = False) -> float:
        """Return how much more the faces of the same years differ between the two than within each; NaN with too few such faces."""
        pairs, total = one.pairs_with(other)
        if pairs < FEWEST_PAIRS or min(one.pairs, other.pairs) < FEWEST_WITHIN:
            return math.nan
        within = max(one.within, other.within) if is_strict else (one.within + other.within) / 2
        return total / pairs - within

"""Centroids of sets of faces, distances to them, and the faces that remain near one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from immich_facesets.checkpoints import checkpoint
from immich_facesets.clustering.blocked_products import SLACK
from immich_facesets.clustering.linkage import average_linkage
from immich_facesets.grouping.face_table import Rows

BLOCK_ROWS = 2048
"""Number of rows of vectors that are compared at once."""


class Centroids:
    """
    A cache of the centroids of sets of rows of one table.

    A centroid is the normalised mean of the clear rows, or of all rows when none is clear. Near-identical pictures
    together weigh as much as one.
    """

    def __init__(self, vectors: NDArray[np.float32], is_clear: NDArray[np.bool_], near: float) -> None:
        self._vectors = vectors
        self._is_clear = is_clear
        self._near = near
        self._cache: dict[bytes, Mass] = {}

    def forget(self) -> None:
        """Empty the cache, after another row became clear or poor."""
        self._cache.clear()

    def of(self, rows: Rows) -> NDArray[np.float32]:
        """Return the centroid of ``rows`` (ascending, at least one), (d,), unit length."""
        total = self.mass(rows).total
        length = np.linalg.norm(total)
        if length < 1e-9:  # the vectors cancel out: any of them is as good a centre
            first: NDArray[np.float32] = self._vectors[rows[0]]
            return first
        return (total / length).astype(np.float32)

    def mass(self, rows: Rows) -> "Mass":
        """Return the contribution of ``rows`` (ascending, at least one) to a centroid."""
        checkpoint()
        key = rows.tobytes()
        found = self._cache.get(key)
        if found is None:
            vectors = self._vectors[self._counted(rows)]
            shares = burst_weights(vectors, self._near)
            found = self._cache[key] = Mass(shares @ vectors.astype(np.float64), float(shares.sum()))
        return found

    def counts(self, rows: Rows, row: int) -> bool:
        """Return whether ``row``, one of ``rows``, contributes to their centroid."""
        return bool(self._is_clear[row]) or not self._is_clear[rows].any()

    def _counted(self, rows: Rows) -> Rows:
        clear = rows[self._is_clear[rows]]
        return clear if len(clear) else rows

    def matrix(self, sets: list[Rows]) -> NDArray[np.float32]:
        """Return the centroids of several sets of rows, (k, d)."""
        matrix = np.empty((len(sets), self._vectors.shape[1]), dtype=np.float32)
        for place, rows in enumerate(sets):
            matrix[place] = self.of(rows)
        return matrix

    def distances(self, rows: Rows) -> NDArray[np.float64]:
        """Return the cosine distance of each of ``rows`` from their centroid, (n,)."""
        return self.distances_to(rows, rows)

    def distances_to(self, members: Rows, rows: Rows) -> NDArray[np.float64]:
        """Return the cosine distance of each of ``rows`` from the centroid of ``members``, (n,)."""
        return cosine_distances(self._vectors[rows], self.of(members)[None])[:, 0]


@dataclass(frozen=True, slots=True)
class Mass:
    """The weighted sum (d,) of the vectors that count, and their total weight; a burst of pictures weighs as one."""

    total: NDArray[np.float64]
    weight: float


def burst_weights(vectors: NDArray[np.float32], near: float) -> NDArray[np.float64]:
    """Return one weight per row, (n,): rows of one burst (average linkage, cut at ``near``) share a weight of 1."""
    n = len(vectors)
    if n == 1:
        return np.ones(1)
    if n <= BLOCK_ROWS:
        likeness = vectors @ vectors.T
        np.fill_diagonal(likeness, -1.0)
        if likeness.max() <= 1.0 - near - SLACK:
            return np.ones(n)
    burst = average_linkage(vectors, near)
    shared: NDArray[np.float64] = 1.0 / np.bincount(burst)[burst]
    return shared


def cosine_distances(vectors: NDArray[np.float32], centroids: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the cosine distances of unit vectors (n, d) to unit centroids (k, d), as (n, k)."""
    checkpoint()
    return 1.0 - (vectors @ centroids.T).astype(np.float64)


def without_outliers(rows: Rows, centroids: Centroids, drop: float, outlier: float) -> Rows:
    """
    Return the rows that belong to one person, without bystanders and wrong assignments (docs/grouping.md).

    Rows farther than ``drop`` from the centroid are dropped. Then the centroid is recomputed, and rows farther than
    ``outlier`` are dropped.
    """
    kept = rows
    for limit in (drop, outlier):
        if len(kept) == 0:
            break
        kept = kept[centroids.distances(kept) <= limit]
    return kept

"""
Exact average linkage without an n x n matrix.

For unit vectors the mean cosine distance between the members of two clusters is ``1 - <m_A, m_B>`` with m the *plain*
(not renormalised) mean of each: means and sizes say everything the matrix of pairs would. Two facts keep the work small.
Clusters cut at t never span two components of the graph of pairs closer than t, and components are found by blocked
matrix products. And average linkage is reducible (a merge brings nothing closer to a third cluster), so reciprocal
nearest neighbours may merge in any order. Rows are worked through in the order of their content, therefore the partition
depends on nothing else, not even where rounding or ties could decide.
"""

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32] | NDArray[np.float64]
Labels = NDArray[np.int64]

MATRIX_ROWS = 2048
"""Up to so many clusters a plain matrix of distances is the fastest; beyond, means are compared block by block."""

BLOCK_CELLS = 4_000_000
"""Cells of one block of a matrix product: 16 MB of float32."""

SLACK = 1e-5
"""More than single precision can err on the product of two unit vectors: within it, double precision decides."""


def average_linkage(vectors: Vectors, cut: float) -> Labels:
    """
    Cluster by average linkage of cosine distances, cut at ``cut``: clusters merge while they are closer than that.

    ``vectors``: (n, d), finite, none of them zero; they need not have unit length. Returns (n,) labels, 0, 1, ... in
    the order of first appearance. The partition is that of scikit-learn's ``AgglomerativeClustering(n_clusters=None,
    metric="cosine", linkage="average", distance_threshold=cut)``, which also merges strictly below its threshold.
    Memory is O(n d); time is one pass of blocked products over all pairs, and the merging within components.
    Raises ``ValueError`` for vectors that are not a matrix, not finite or zero, and for a cut that is no distance.
    """
    norms = _checked_norms(vectors, cut)
    if len(vectors) == 0:
        return np.zeros(0, dtype=np.int64)
    if cut == 0:  # nothing is closer than that, not even an equal
        return np.arange(len(vectors))
    order = content_order(vectors)
    first, twin_of, twins = _collapse_equals(vectors, order)
    component = _components(_units(vectors, norms, first), 1.0 - cut - SLACK)
    clusters = np.empty(len(first), dtype=np.int64)
    count = 0
    for rows in split_by(component):
        if len(rows) == 1:
            clusters[rows], count = count, count + 1
            continue
        members = first[rows]
        parts = _merge_component(vectors[members] / norms[members, None], twins[rows], cut)
        clusters[rows] = count + parts
        count += int(parts.max()) + 1
    labels = np.empty(len(vectors), dtype=np.int64)
    labels[order] = clusters[twin_of]
    return by_first_appearance(labels)


def content_order(vectors: Vectors) -> NDArray[np.intp]:
    """The order of the rows' bytes: the same for any arrangement of the same rows, equal rows beside each other."""
    rows = np.ascontiguousarray(vectors)
    return np.argsort(rows.view(f"V{rows.itemsize * rows.shape[1]}").ravel(), kind="stable")


def by_first_appearance(labels: Labels) -> Labels:
    """The same partition, numbered 0, 1, ... in the order in which its parts first appear."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]


def split_by(labels: Labels) -> list[NDArray[np.intp]]:
    """The rows of each label, ascending, in the order of the labels; empty without rows."""
    if len(labels) == 0:
        return []
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)


def _checked_norms(vectors: Vectors, cut: float) -> NDArray[np.float64]:
    """The lengths of the vectors, (n,), in double precision."""
    if vectors.ndim != 2 or (len(vectors) and vectors.shape[1] == 0):
        raise ValueError(f"vectors must be a matrix (n, d), not of shape {vectors.shape}")
    if not cut >= 0:
        raise ValueError(f"the cut must be a distance of 0 or more, not {cut}")
    norms: NDArray[np.float64] = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    if not np.isfinite(norms).all():
        raise ValueError("vectors must be finite")
    if not norms.all():
        raise ValueError("a zero vector has no direction and cannot be clustered by cosine distance")
    return norms


def _collapse_equals(
    vectors: Vectors, order: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.int64], NDArray[np.float64]]:
    """One row of each run of equal rows in ``order``; for each row in ``order`` the place of its run; the runs' sizes."""
    is_first = np.ones(len(order), dtype=np.bool_)
    for start in range(1, len(order), 4096):
        part = vectors[order[start - 1 : start + 4096]]
        is_first[start : start + 4096] = (part[1:] != part[:-1]).any(axis=1)
    twin_of = np.cumsum(is_first) - 1
    return order[is_first], twin_of, np.bincount(twin_of).astype(np.float64)


def _units(vectors: Vectors, norms: NDArray[np.float64], rows: NDArray[np.intp]) -> NDArray[np.float32]:
    """Those rows at unit length in single precision, divided in double, without a whole matrix of doubles."""
    units = np.empty((len(rows), vectors.shape[1]), dtype=np.float32)
    for start in range(0, len(rows), 4096):
        part = rows[start : start + 4096]
        units[start : start + 4096] = vectors[part] / norms[part, None]
    return units


def _components(units: NDArray[np.float32], floor: float) -> Labels:
    """Name the connected components of the graph whose edges are the pairs of a similarity of ``floor`` or more."""
    n = len(units)
    if floor <= -1.0 - SLACK:
        return np.zeros(n, dtype=np.int64)
    label = np.arange(n)
    start = 0
    while start < n:
        stop = start + max(1, BLOCK_CELLS // (n - start))
        is_near = units[start:stop] @ units[start:].T >= floor
        for near in is_near:
            found = label[start:][near]
            lowest = found.min()
            if lowest != found.max():
                is_found = np.zeros(n, dtype=np.bool_)
                is_found[found] = True
                label[is_found[label]] = lowest
        start = stop
    return label


def _merge_component(units: NDArray[np.float64], sizes: NDArray[np.float64], cut: float) -> Labels:
    """Label one component's rows 0, 1, ... by cluster: by means while it is large, by matrix once it is small."""
    n = len(units)
    if n <= MATRIX_ROWS:
        return _merge_matrix(1.0 - units @ units.T, sizes, cut)
    large = _Means(units, sizes, cut)
    while large.count > MATRIX_ROWS:
        large.round()
    labels = large.final
    is_open = large.cluster >= 0
    if is_open.any():
        rest = _merge_matrix(1.0 - large.means @ large.means.T, large.sizes, cut, alive=~large.is_dead)
        labels[is_open] = large.finished + rest[large.cluster[is_open]]
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def _merge_matrix(
    distances: NDArray[np.float64], sizes: NDArray[np.float64], cut: float, alive: NDArray[np.bool_] | None = None
) -> Labels:
    """
    Merge by nearest-neighbour chains in a full matrix of distances, (n, n), which is overwritten.

    Cluster distances follow Lance and Williams (1967); the chain is Murtagh's (1983). Each row's label is one of the
    rows of its cluster.
    """
    n = len(distances)
    np.fill_diagonal(distances, np.inf)
    labels = np.arange(n)
    left = labels if alive is None else np.flatnonzero(alive)
    if alive is not None:
        distances[~alive] = np.inf
        distances[:, ~alive] = np.inf
    sizes = sizes.copy()
    for seed in left:
        chain = [int(seed)]
        while chain:
            tip = chain[-1]
            nearest = int(distances[tip].argmin())
            gap = distances[tip, nearest]
            if len(chain) > 1 and distances[tip, chain[-2]] <= gap:  # among equals the one we came from: no circles
                nearest = chain[-2]
            elif not gap < cut:  # finished, or merged away: nothing will come nearer
                break
            else:
                chain.append(nearest)
                continue
            del chain[-2:]
            total = sizes[tip] + sizes[nearest]
            merged = (sizes[tip] * distances[tip] + sizes[nearest] * distances[nearest]) / total
            distances[tip], distances[:, tip] = merged, merged
            distances[tip, tip] = np.inf
            distances[nearest], distances[:, nearest] = np.inf, np.inf
            sizes[tip] = total
            labels[labels == nearest] = tip
            if not chain:
                chain = [tip]
    return labels


class _Means:
    """
    A large component on its way to few clusters: one mean and one size each, merged in rounds.

    A cluster's nearest neighbour is searched in single precision, and decided in double among those within the slack.
    After a merge only the new cluster is searched for at once; those that pointed at its parts wait until one that
    knows its neighbour points at them.
    """

    def __init__(self, units: NDArray[np.float64], sizes: NDArray[np.float64], cut: float) -> None:
        n = len(units)
        self.cut = cut
        self.means = units
        self.coarse = units.astype(np.float32)
        self.sizes = sizes
        self.cluster = np.arange(n)  # of each row: its mean; -1 once that is finished
        self.final = np.full(n, -1, dtype=np.int64)  # of each row: its finished cluster
        self.finished = 0
        self._reset(np.full(n, -1, dtype=np.int64), np.ones(n, dtype=np.bool_))

    def _reset(self, nearest: Labels, is_stale: NDArray[np.bool_]) -> None:
        self.nearest = nearest
        self.is_stale = is_stale
        self.is_new = is_stale.copy()
        self.is_dead = np.zeros(len(nearest), dtype=np.bool_)

    @property
    def count(self) -> int:
        return len(self.is_dead) - int(np.count_nonzero(self.is_dead))

    def round(self) -> None:
        """Search where it is due, finish what stands alone, and merge all reciprocal nearest neighbours."""
        is_fresh = ~self.is_stale & ~self.is_dead
        is_wanted = self.is_new.copy()
        is_wanted[self.nearest[is_fresh]] = True
        is_wanted &= self.is_stale
        if not is_wanted.any():
            is_wanted = self.is_stale.copy()
        self._search(np.flatnonzero(is_wanted))
        self._merge()
        if np.count_nonzero(self.is_dead) * 8 > len(self.is_dead):
            self._compact()

    def _search(self, wanted: NDArray[np.intp]) -> None:
        """Find the nearest neighbours of ``wanted``; those whose nearest is not within the cut are finished."""
        is_lonely = np.zeros(len(self.is_dead), dtype=np.bool_)
        bias = np.where(self.is_dead, np.float32(-np.inf), np.float32(0))
        step = max(1, BLOCK_CELLS // len(self.is_dead))
        for start in range(0, len(wanted), step):
            rows = wanted[start : start + step]
            likeness = self.coarse[rows] @ self.coarse.T
            likeness += bias
            likeness[np.arange(len(rows)), rows] = -np.inf
            best = likeness.max(axis=1)
            near, other = np.nonzero(likeness >= (best - np.float32(SLACK))[:, None])
            exact = _products(self.means, rows[near], other)
            first = np.lexsort((other, -exact, near))
            first = first[np.unique(near[first], return_index=True)[1]]
            self.nearest[rows] = other[first]
            is_lonely[rows] = ~(1.0 - exact[first] < self.cut)
        self.is_stale[wanted] = self.is_new[wanted] = False
        self._finish(is_lonely)

    def _finish(self, is_lonely: NDArray[np.bool_]) -> None:
        """Take clusters that will never merge again out of the search."""
        if not is_lonely.any():
            return
        number = np.cumsum(is_lonely) - 1 + self.finished
        rows = np.flatnonzero((self.cluster >= 0) & is_lonely[self.cluster])
        self.final[rows] = number[self.cluster[rows]]
        self.cluster[rows] = -1
        self.finished += int(np.count_nonzero(is_lonely))
        self.is_dead |= is_lonely
        self.is_stale &= ~is_lonely

    def _merge(self) -> None:
        here = np.arange(len(self.is_dead))
        is_fresh = ~self.is_stale & ~self.is_dead
        one = np.flatnonzero(is_fresh & is_fresh[self.nearest] & (self.nearest[self.nearest] == here))
        one = one[one < self.nearest[one]]
        two = self.nearest[one]
        total = (self.sizes[one] + self.sizes[two])[:, None]
        self.means[one] = (self.means[one] * self.sizes[one, None] + self.means[two] * self.sizes[two, None]) / total
        self.coarse[one] = self.means[one]
        self.sizes[one] = total[:, 0]
        target = here.copy()
        target[two] = one
        self.cluster = np.where(self.cluster >= 0, target[self.cluster], -1)
        self.is_dead[two] = True
        is_touched = np.zeros(len(here), dtype=np.bool_)
        is_touched[one] = is_touched[two] = True
        self.is_stale = (self.is_stale | is_touched[self.nearest]) & ~self.is_dead
        self.is_new[one] = True

    def _compact(self) -> None:
        """Close the gaps that merged and finished clusters left."""
        kept = np.flatnonzero(~self.is_dead)
        place = np.full(len(self.is_dead), -1, dtype=np.int64)
        place[kept] = np.arange(len(kept))
        self.cluster = np.where(self.cluster >= 0, place[self.cluster], -1)
        self.means, self.coarse, self.sizes = self.means[kept], self.coarse[kept], self.sizes[kept]
        is_new = self.is_new[kept]
        self._reset(place[self.nearest[kept]], self.is_stale[kept])
        self.is_new = is_new


def _products(means: NDArray[np.float64], one: NDArray[np.intp], two: NDArray[np.intp]) -> NDArray[np.float64]:
    """The products of pairs of rows, in blocks; the same whichever of the two comes first."""
    products = np.empty(len(one))
    for start in range(0, len(one), 8192):
        part = slice(start, start + 8192)
        products[part] = np.einsum("ij,ij->i", means[one[part]], means[two[part]])
    return products

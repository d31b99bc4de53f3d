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

from immich_facesets.products import BLOCK_CELLS, SLACK
from immich_facesets.reciprocal import EMPTY, Rounds

Vectors = NDArray[np.float32] | NDArray[np.float64]
Labels = NDArray[np.int64]

MATRIX_ROWS = 3072
"""Up to so many clusters a plain matrix of distances (75 MB) is the fastest; beyond, they merge in rounds by means."""


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
    """Label one component's rows 0, 1, ... by cluster: in rounds while it is large, by matrix once it is small."""
    if len(units) <= MATRIX_ROWS:
        labels = _merge_matrix(units, sizes, cut)
    else:
        rounds = Rounds(units, sizes, cut)
        rounds.run(enough=MATRIX_ROWS)
        labels = rounds.label_of
        is_open = labels == EMPTY
        labels[is_open] = rounds.finished + _merge_matrix(rounds.means, rounds.sizes, cut)[rounds.place_of[is_open]]
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def _merge_matrix(means: NDArray[np.float64], sizes: NDArray[np.float64], cut: float) -> Labels:
    """
    Merge clusters, given by mean (n, d) and size, by nearest-neighbour chains in a full matrix of their distances.

    Cluster distances follow Lance and Williams (1967); the chain is Murtagh's (1983). Each row's label is one of the
    rows of its cluster.
    """
    distances = means @ means.T
    np.subtract(1.0, distances, out=distances)
    np.fill_diagonal(distances, np.inf)
    labels = np.arange(len(means))
    sizes = sizes.copy()
    for seed in range(len(means)):
        chain = [seed]
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

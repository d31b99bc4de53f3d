"""
Average linkage without an n x n matrix: exact, and nearly exact for a million faces.

For unit vectors, the mean cosine distance between the members of two clusters is ``1 - <m_A, m_B>``. Here m is the
*plain* (not renormalised) mean of each, so means and sizes replace the matrix of pairs. Two facts keep the work small.
First, clusters cut at t never span two components of the graph of pairs closer than t. Components are found by tiles of
matrix products. Second, average linkage is reducible: a merge brings nothing closer to a third cluster. So reciprocal
nearest neighbours may merge in any order. Rows are processed in the order of their content, so the partition depends
on nothing else, not even through rounding or ties.
"""

import numpy as np
from numpy.typing import NDArray

from immich_facesets.checkpoints import checkpoint
from immich_facesets.clustering.agglomeration import Labels, merge_within, split_by
from immich_facesets.clustering.blocked_products import SLACK, Directions, Vectors
from immich_facesets.clustering.components import join_near
from immich_facesets.clustering.disjoint_sets import DisjointSets
from immich_facesets.clustering.sampled_linkage import sampled_linkage

__all__ = ["Labels", "Vectors", "average_linkage", "by_first_appearance", "content_order", "split_by"]

EXACT_ROWS = 150_000
"""The most different vectors for an exact partition, which then takes three to five minutes on two cores."""


def average_linkage(vectors: Vectors, cut: float, *, exact_rows: int = EXACT_ROWS) -> Labels:
    """
    Cluster by average linkage of cosine distances; clusters merge while they are closer than ``cut``.

    ``vectors``: (n, d), finite, none of them zero; they need not have unit length. Returns (n,) labels, 0, 1, ... in
    the order of first appearance. The partition is that of scikit-learn's ``AgglomerativeClustering(n_clusters=None,
    metric="cosine", linkage="average", distance_threshold=cut)``, which also merges strictly below its threshold. For
    more than ``exact_rows`` vectors it is an approximation (`sampled_linkage`). Memory is O(n d). The time is that of
    one pass of products over all pairs, and of the merges within components.

    Raises ``ValueError`` for vectors that are not a matrix, not finite or zero, and for a cut that is not a distance.
    """
    norms = _checked_norms(vectors, cut)
    if len(vectors) == 0:
        return np.zeros(0, dtype=np.int64)
    if cut == 0:  # nothing is closer than 0, not even an equal vector
        return np.arange(len(vectors))
    if cut > 2:  # no two vectors are farther apart than opposites
        return np.zeros(len(vectors), dtype=np.int64)
    order = content_order(vectors)
    first, twin_of, twins = _collapse_equals(vectors, order)
    faces = Directions(vectors, norms, first)
    floor = 1.0 - cut - SLACK
    if len(first) > exact_rows:
        clusters = sampled_linkage(faces, twins, cut, floor)
    else:
        sets = DisjointSets(len(first))
        join_near(sets, faces.singles(np.arange(len(first))), floor)
        clusters = merge_within(sets.labels(), faces.doubles, twins, cut)
    labels = np.empty(len(vectors), dtype=np.int64)
    labels[order] = clusters[twin_of]
    return by_first_appearance(labels)


def content_order(vectors: Vectors) -> NDArray[np.intp]:
    """Return the order of the rows by their bytes, independent of their arrangement; equal rows are adjacent."""
    rows = np.ascontiguousarray(vectors)
    return np.argsort(rows.view(f"V{rows.itemsize * rows.shape[1]}").ravel(), kind="stable")


def by_first_appearance(labels: Labels) -> Labels:
    """Return the same partition, renumbered 0, 1, ... in the order in which its parts first appear."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]


def _checked_norms(vectors: Vectors, cut: float) -> NDArray[np.float64]:
    """Check the input of ``average_linkage``; return the lengths of the vectors, (n,), in double precision."""
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
    """
    Group equal rows, which are adjacent in ``order``.

    Returns one row of each run, for each row in ``order`` the place of its run, and the sizes of the runs.
    """
    is_first = np.ones(len(order), dtype=np.bool_)
    for start in range(1, len(order), 4096):
        checkpoint()
        part = vectors[order[start - 1 : start + 4096]]
        is_first[start : start + 4096] = (part[1:] != part[:-1]).any(axis=1)
    twin_of = np.cumsum(is_first) - 1
    return order[is_first], twin_of, np.bincount(twin_of).astype(np.float64)

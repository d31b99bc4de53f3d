"""Quality of a grouping against the truth: BCubed, pairwise, strangers in sets, calibration, verification."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from immich_facesets.clustering.blocked_products import row_blocks


@dataclass(frozen=True, slots=True)
class Score:
    """Precision and recall, and ``f``, their harmonic mean; all in [0, 1]."""

    precision: float
    recall: float

    @property
    def f(self) -> float:
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def bcubed(labels_true: ArrayLike, labels_pred: ArrayLike) -> Score:
    """
    Return the BCubed score (Bagga and Baldwin 1998): the mean purity and completeness of each face's cluster.

    The two lists may hold labels of different types. Empty input scores 1.
    """
    cells, of_true, of_pred = _contingency(labels_true, labels_pred)
    n = cells.sum()
    if n == 0:
        return Score(1.0, 1.0)
    return Score(float((cells**2 / of_pred).sum() / n), float((cells**2 / of_true).sum() / n))


def pairwise(labels_true: ArrayLike, labels_pred: ArrayLike) -> Score:
    """Return precision and recall over the pairs of faces that are grouped together; 1 without such pairs."""
    cells, _, _ = _contingency(labels_true, labels_pred)
    _, true_sizes = np.unique(np.asarray(labels_true), return_counts=True)
    _, pred_sizes = np.unique(np.asarray(labels_pred), return_counts=True)
    both, true_pairs, pred_pairs = (float((size * (size - 1) // 2).sum()) for size in (cells, true_sizes, pred_sizes))
    return Score(both / pred_pairs if pred_pairs else 1.0, both / true_pairs if true_pairs else 1.0)


@dataclass(frozen=True, slots=True)
class Strangers:
    """The number of ``faces`` of known people in large enough sets; ``foreign`` of them are not of the set's person."""

    faces: int
    foreign: int

    @property
    def per_thousand(self) -> float:
        return 1000 * self.foreign / self.faces if self.faces else 0.0


def strangers_in_sets(
    labels_true: ArrayLike, labels_pred: ArrayLike, pictures: ArrayLike, is_known: NDArray[np.bool_], least: int
) -> Strangers:
    """
    Count the faces of other people in the clusters that would be exported: those of at least ``least`` pictures.

    The person of a set is the one with the most faces in it. Faces that are not ``is_known``, (n,), enlarge a set and
    are not judged. A set without any known face is not judged either.
    """
    true, pred = np.asarray(labels_true), np.asarray(labels_pred)
    codes = np.unique(pred, return_inverse=True)[1]
    shown = np.unique(np.stack([codes, np.unique(np.asarray(pictures), return_inverse=True)[1]]), axis=1)
    is_large = np.bincount(shown[0], minlength=int(codes.max(initial=-1)) + 1) >= least
    rows = np.flatnonzero(is_known & is_large[codes])
    return Strangers(len(rows), int((~is_of_owner(true[rows], codes[rows])).sum()))


def is_of_owner(labels_true: ArrayLike, labels_pred: ArrayLike) -> NDArray[np.bool_]:
    """Return whether each face is of the person with most faces in its cluster; among equals the first label wins."""
    _, one = np.unique(np.asarray(labels_true), return_inverse=True)
    _, two = np.unique(np.asarray(labels_pred), return_inverse=True)
    pairs, cells = np.unique(np.stack([one, two]), axis=1, return_counts=True)
    owner = np.zeros(int(two.max(initial=-1)) + 1, dtype=np.int64)
    order = np.lexsort((-pairs[0], cells))  # the last one written stays: the most faces, then the first label
    owner[pairs[1][order]] = pairs[0][order]
    result: NDArray[np.bool_] = owner[two] == one
    return result


def cluster_count(labels: ArrayLike) -> int:
    """Return the number of clusters, single faces included."""
    return len(np.unique(np.asarray(labels)))


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Calibration of faces with a confidence from ``low`` to ``high``: mean ``said``, share ``right``."""

    low: float
    high: float
    faces: int
    said: float
    right: float


CONFIDENCE_EDGES = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 1.0)
"""Edges of the confidence classes: finer where confidences are high."""


def calibration(
    is_right: NDArray[np.bool_], confidences: NDArray[np.floating], edges: Sequence[float] = CONFIDENCE_EDGES
) -> tuple[CalibrationBin, ...]:
    """
    Return how many faces of each confidence class are right; classes without faces are left out.

    ``confidences``: (n,) in [0, 1], NaN for faces without one. A class includes its lower edge; the last one includes
    both.
    """
    has_confidence = np.flatnonzero(~np.isnan(confidences))
    place = np.clip(
        np.searchsorted(np.asarray(edges), confidences[has_confidence], side="right") - 1, 0, len(edges) - 2
    )
    classes = []
    for number in np.unique(place).tolist():
        rows = has_confidence[place == number]
        means = float(confidences[rows].mean()), float(is_right[rows].mean())
        classes.append(CalibrationBin(edges[number], edges[number + 1], len(rows), *means))
    return tuple(classes)


@dataclass(frozen=True, slots=True)
class Verification:
    """The share of same-person pairs accepted (``tar``) at the distance where ``far`` of the others are."""

    tar: float
    far: float
    distance: float


def tar_at_far(same: NDArray[np.floating], different: NDArray[np.floating], far: float) -> Verification:
    """
    Return the true accept rate at a false accept rate of at most ``far``.

    ``same`` and ``different``: distances of pairs of one person and of two persons, in any order, neither empty. The
    threshold is the largest distance below which at most that share of ``different`` lies.
    """
    if len(same) == 0 or len(different) == 0:
        raise ValueError("a verification rate needs pairs of both kinds")
    allowed = int(np.floor(far * len(different)))
    ordered = np.sort(different)
    limit = float(ordered[allowed]) if allowed < len(ordered) else float("inf")
    return Verification(float(np.mean(same < limit)), float(np.mean(different < limit)), limit)


def pair_distances(vectors: NDArray[np.float32], labels: ArrayLike) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the distances of all pairs of unit vectors (n, d): with equal labels, and the others. Memory is O(n^2)."""
    kind = np.asarray(labels)
    one, two = np.triu_indices(len(vectors), k=1)
    distance = 1 - (vectors @ vectors.T)[one, two]
    is_same = kind[one] == kind[two]
    return distance[is_same], distance[~is_same]


def pair_histogram(
    vectors: NDArray[np.float32], labels: ArrayLike, edges: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """
    Count the pairs of unit vectors (n, d) of one person, and of two persons, by distance. O(n) memory.

    ``edges``: ascending, of equal width; distances beyond them count in the outermost classes.
    """
    kind = np.unique(np.asarray(labels), return_inverse=True)[1]
    counts = np.zeros((2, len(edges) - 1), dtype=np.int64)
    for rows in row_blocks(len(vectors), len(vectors), most_rows=1024):
        start = rows.start
        gaps = 1 - vectors[rows] @ vectors[start:].T
        is_upper = np.triu(np.ones(gaps.shape, dtype=np.bool_), k=1)
        is_same = kind[rows, None] == kind[None, start:]
        clipped = np.clip(gaps, edges[0], edges[-1])
        counts[0] += np.histogram(clipped[is_upper & is_same], edges)[0]
        counts[1] += np.histogram(clipped[is_upper & ~is_same], edges)[0]
    return counts[0], counts[1]


def _contingency(
    labels_true: ArrayLike, labels_pred: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return, for each pair of labels that occurs, the faces with both, with the true and with the predicted one."""
    true, pred = np.asarray(labels_true), np.asarray(labels_pred)
    if true.shape != pred.shape or true.ndim != 1:
        raise ValueError("labels must be two lists of equal length")
    _, one, one_sizes = np.unique(true, return_inverse=True, return_counts=True)
    _, two, two_sizes = np.unique(pred, return_inverse=True, return_counts=True)
    pairs, cells = np.unique(np.stack([one, two]), axis=1, return_counts=True)
    return cells.astype(np.int64), one_sizes[pairs[0]].astype(np.int64), two_sizes[pairs[1]].astype(np.int64)

"""How good a grouping is, measured against the truth: BCubed, pairwise, and verification rates."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


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
    BCubed (Bagga and Baldwin 1998): the mean over all faces of how pure and how complete the cluster of each is.

    Any labels will do, each its own kind. Nothing to judge is judged perfect.
    """
    cells, of_true, of_pred = _contingency(labels_true, labels_pred)
    n = cells.sum()
    if n == 0:
        return Score(1.0, 1.0)
    return Score(float((cells**2 / of_pred).sum() / n), float((cells**2 / of_true).sum() / n))


def pairwise(labels_true: ArrayLike, labels_pred: ArrayLike) -> Score:
    """Precision and recall over the pairs of faces that are put together; without such pairs 1."""
    cells, _, _ = _contingency(labels_true, labels_pred)
    _, true_sizes = np.unique(np.asarray(labels_true), return_counts=True)
    _, pred_sizes = np.unique(np.asarray(labels_pred), return_counts=True)
    both, true_pairs, pred_pairs = (float((size * (size - 1) // 2).sum()) for size in (cells, true_sizes, pred_sizes))
    return Score(both / pred_pairs if pred_pairs else 1.0, both / true_pairs if true_pairs else 1.0)


@dataclass(frozen=True, slots=True)
class Verification:
    """The share of same-person pairs accepted (``tar``) at the distance where ``far`` of the others are."""

    tar: float
    far: float
    distance: float


def tar_at_far(same: NDArray[np.floating], different: NDArray[np.floating], far: float) -> Verification:
    """
    The true accept rate at a false accept rate of at most ``far``.

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
    """Distances of all pairs of unit vectors (n, d): those with equal labels, and the others. Memory is O(n^2)."""
    kind = np.asarray(labels)
    one, two = np.triu_indices(len(vectors), k=1)
    distance = 1 - (vectors @ vectors.T)[one, two]
    is_same = kind[one] == kind[two]
    return distance[is_same], distance[~is_same]


def _contingency(
    labels_true: ArrayLike, labels_pred: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """For each pair of labels that occurs: how many faces have both, how many the true one, how many the predicted."""
    true, pred = np.asarray(labels_true), np.asarray(labels_pred)
    if true.shape != pred.shape or true.ndim != 1:
        raise ValueError("labels must be two lists of equal length")
    _, one, one_sizes = np.unique(true, return_inverse=True, return_counts=True)
    _, two, two_sizes = np.unique(pred, return_inverse=True, return_counts=True)
    pairs, cells = np.unique(np.stack([one, two]), axis=1, return_counts=True)
    return cells.astype(np.int64), one_sizes[pairs[0]].astype(np.int64), two_sizes[pairs[1]].astype(np.int64)

"""Two people in one identity: the best division of its faces in two, and how much the two parts differ."""

import numpy as np
from numpy.typing import NDArray

from immich_facesets.checkpoints import checkpoint
from immich_facesets.grouping.cluster_linking import least_likeness, scales

FEWEST_FACES, FEWEST_OF_PART = 8, 3
"""The fewest faces of an identity that is divided, and of a part that is more than a few wrong members."""

_ROUNDS = 10


def two_parts(vectors: NDArray[np.float32]) -> NDArray[np.bool_]:
    """
    Return which unit vectors (n, d) are in the smaller of the two parts that differ most, (n,): 2-means of directions.

    The start is the direction in which the vectors spread most, so that the result depends on nothing else.
    """
    is_here = _start(vectors)
    for _ in range(_ROUNDS):
        checkpoint()
        if is_here.all() or not is_here.any():
            break
        sums = np.stack([vectors[is_here].sum(axis=0), vectors[~is_here].sum(axis=0)])
        sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
        likeness = vectors @ sums.T
        again = likeness[:, 0] > likeness[:, 1]
        if np.array_equal(again, is_here):
            break
        is_here = again
    is_smaller = 2 * np.count_nonzero(is_here) <= len(is_here)
    return is_here if is_smaller else ~is_here


def reach_of_parts(vectors: NDArray[np.float32], is_here: NDArray[np.bool_], cut: float) -> float:
    """Return the likeness of two parts as clusters, above the least at which two clusters are linked at this cut."""
    totals = np.stack([vectors[is_here].sum(axis=0), vectors[~is_here].sum(axis=0)]).astype(np.float64)
    weights = np.array([np.count_nonzero(is_here), np.count_nonzero(~is_here)], dtype=np.float64)
    return float(totals[0] @ totals[1] / scales(totals, weights).prod()) - least_likeness(cut)


def _start(vectors: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return on which side of their mean the vectors lie, along the direction in which they spread most."""
    spread = vectors - vectors.mean(axis=0)
    direction = spread[np.argmax((spread**2).sum(axis=1))]
    for _ in range(_ROUNDS):
        direction = spread.T @ (spread @ direction)
        direction /= max(float(np.linalg.norm(direction)), 1e-9)
    is_here: NDArray[np.bool_] = spread @ direction > 0
    return is_here

"""The exemplars of an identity: the few faces of each period that together resemble all its others."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from immich_facesets.checkpoints import checkpoint
from immich_facesets.grouping.centroids import cosine_distances
from immich_facesets.grouping.face_table import Rows

MOST_OF_PERIOD = 8
"""The most exemplars of an identity in one era: with 8, people are recognised as with all faces (docs/accuracy.md)."""

MOST_CANDIDATES = 512
"""The most faces of a period among which exemplars are chosen, evenly spread over the others: the cost grows squared."""

NOTHING_NEW = 1e-3
"""A face that adds less than this to the mean likeness of a period's faces is no exemplar."""


@dataclass(frozen=True, slots=True)
class Members:
    """
    The faces of one identity, as columns of equal length n.

    ``vectors``: (n, d), unit length. ``periods``: codes of eras; faces in none have one code of their own.
    ``is_confirmed``: whether a user said that the face is this person's. ``is_clear``: whether it passes the gates.
    """

    vectors: NDArray[np.float32]
    periods: NDArray[np.int64]
    is_confirmed: NDArray[np.bool_]
    is_clear: NDArray[np.bool_]


def choose_exemplars(members: Members, outlier: float, most: int = MOST_OF_PERIOD) -> Rows:
    """
    Return the rows of the exemplars, at most ``most`` of each period, ascending; at least one.

    Confirmed faces come before others, whatever they look like. Of the others, those count that pass the gates and lie
    within ``outlier`` of the mean of their period: one wrong member must not answer for the identity.
    """
    found = [_of_period(members, rows, outlier, most) for rows in _periods(members.periods)]
    return np.sort(np.concatenate(found))


def _periods(codes: NDArray[np.int64]) -> Iterator[Rows]:
    order = np.argsort(codes, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)


def _of_period(members: Members, rows: Rows, outlier: float, most: int) -> Rows:
    checkpoint()
    confirmed = _spread(rows[members.is_confirmed[rows]])
    others = _spread(_typical(members, rows[~members.is_confirmed[rows]], outlier))
    if len(confirmed) == 0 and len(others) == 0:
        others = _spread(rows)
    candidates = np.concatenate([confirmed, others])
    vectors = members.vectors[candidates]
    likeness = vectors @ vectors.T
    chosen = _cover(likeness, range(len(confirmed)), [], most)
    return candidates[_cover(likeness, range(len(confirmed), len(candidates)), chosen, most)]


def _typical(members: Members, rows: Rows, outlier: float) -> Rows:
    """Return the clear rows near the mean of these; all clear ones, or all rows, where none is."""
    rows = rows[members.is_clear[rows]] if members.is_clear[rows].any() else rows
    if len(rows) == 0:
        return rows
    mean = members.vectors[rows].mean(axis=0, dtype=np.float64)
    length = float(np.linalg.norm(mean))
    if length < 1e-9:
        return rows
    is_near = cosine_distances(members.vectors[rows], (mean / length).astype(np.float32)[None])[:, 0] <= outlier
    return rows[is_near] if is_near.any() else rows


def _spread(rows: Rows) -> Rows:
    return rows[:: -(-len(rows) // MOST_CANDIDATES)] if len(rows) else rows


def _cover(likeness: NDArray[np.float32], among: range, chosen: list[int], most: int) -> list[int]:
    """
    Return ``chosen`` with further columns of ``among``, each the one that adds most to the coverage: (n, n) likenesses.

    The coverage is the mean, over all faces, of the likeness to the nearest chosen one. It has diminishing returns, so
    choosing greedily reaches 63 % or more of the best possible.
    """
    chosen, left = list(chosen), np.array(among, dtype=np.intp)
    covered = likeness[:, chosen].max(axis=1) if chosen else np.full(len(likeness), -1.0, dtype=np.float32)
    while len(chosen) < most and len(left):
        gains = np.maximum(likeness[:, left] - covered[:, None], 0.0).mean(axis=0)
        best = int(gains.argmax())
        if gains[best] < NOTHING_NEW and chosen:
            break
        chosen.append(int(left[best]))
        covered = np.maximum(covered, likeness[:, left[best]])
        left = np.delete(left, best)
    return chosen

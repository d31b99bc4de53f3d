"""
Where a face belongs that nobody has dated: in the era it looks most like, if it is clear which one that is.

How sure that is follows the margin by which it is nearer to that era than to the second. Two measurements say how: the
odds over many lives whose dates are known, and how often this very person's dated faces of a like margin lie in the era
of their time. The lower one counts: some people hardly change in ten years, and then looks say little.

The odds were fitted to 4,432 held-out faces of 33 invented lives that drift without a break (``long_life`` of the tests),
each right when most dated faces of the same twelve months are in the era it was placed in. Together, held to 2,651 faces
of 19 other lives: of those said to be 80 to 90 % sure 94 % were right, of 90 % and more 99.9 %; surer than 97 % nobody is
ever said to be. Real photos of two times of one person are few: of 12 faces in the labelled photos, whose times are one
to four photos each, 9 look like their own. ``tests/bench/bench_eras.py`` measures it all again.
"""

import numpy as np
from numpy.typing import NDArray

from immich_facesets.grouping.face_table import Rows, distances

AT_NO_MARGIN = 0.32
PER_MARGIN = 37.4
"""The log odds that the nearest era is the right one: where another is as near, and how they grow with the margin."""

WITNESSES = 30
"""So many dated faces, those of the likest margins, say how often looks are right about this person."""


def look(
    vectors: NDArray[np.float32], centroids: NDArray[np.float32]
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """
    The nearest of two eras or more, how far it is, and by how much the second is farther, each (n,).

    ``vectors``: (n, d), ``centroids``: (k, d), unit length.
    """
    return _nearest(distances(vectors, centroids))


def look_without_oneself(
    vectors: NDArray[np.float32], centroids: NDArray[np.float32], sets: list[Rows]
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """The same of dated faces, none of which vouches for itself. ``sets``: the rows that each centroid is made of."""
    gaps = distances(vectors, centroids)
    for era, rows in enumerate(sets):
        mine = vectors[rows].astype(np.float64)
        others = mine.sum(axis=0) - mine
        lengths = np.maximum(np.linalg.norm(others, axis=1), 1e-9)
        gaps[rows, era] = 1.0 - np.einsum("ij,ij->i", mine, others) / lengths
    return _nearest(gaps)


def confidence(
    margins: NDArray[np.float64], of_dated: NDArray[np.float64], is_right: NDArray[np.bool_], scale: float
) -> NDArray[np.float64]:
    """
    How sure it is that faces with these margins are in the right era, in [0, 1], (n,).

    ``of_dated``: (m,), the margins of faces whose dates are known, and ``is_right``, whether looks were right about
    them; ``scale``: how much farther apart faces are than in the buffalo_l space.
    """
    usual: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-(AT_NO_MARGIN + PER_MARGIN * margins / scale)))
    if len(of_dated) == 0:
        return usual
    count = min(WITNESSES, len(of_dated))
    likest = np.argsort(np.abs(margins[:, None] - of_dated[None, :]), axis=1, kind="stable")[:, :count]
    here = (is_right[likest].sum(axis=1) + 1.0) / (count + 2.0)  # the rule of succession
    lower: NDArray[np.float64] = np.minimum(usual, here)
    return lower


def _nearest(gaps: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    two = np.partition(gaps, 1, axis=1)
    return gaps.argmin(axis=1), two[:, 0], two[:, 1] - two[:, 0]

"""
Placing of an undated face in the era it is most similar to, if the choice is clear.

The confidence depends on the margin by which the face is nearer to that era than to the second. Two measurements
calibrate it. The first is the odds over many lives whose dates are known. The second is how often this person's own
dated faces with a similar margin lie in the era of their time. The lower one counts: some people hardly change in ten
years, and then similarity says little.

The odds were fitted to 4,432 held-out faces of 33 synthetic lives that drift continuously (``long_life`` of the tests).
A face counts as right when most dated faces of the same twelve months are in the era it was placed in. The combined
confidence was checked on 2,651 faces of 19 other lives. Of faces with a confidence of 80 to 90 %, 94 % were right; of
90 % and more, 99.9 %. Confidence never exceeds 97 %. Real photos of one person from two times are few. The labelled
photos have 12 such faces, whose times have one to four photos each: 9 are placed correctly.
``tests/bench/bench_eras.py`` repeats these measurements.
"""

import numpy as np
from numpy.typing import NDArray

from immich_facesets.clustering.blocked_products import row_blocks
from immich_facesets.grouping.centroids import cosine_distances
from immich_facesets.grouping.face_table import Rows

AT_NO_MARGIN = 0.32
PER_MARGIN = 37.4
"""Log odds that the nearest era is the right one: the value at equal distances, and the growth per unit of margin."""

WITNESSES = 30
"""
The number of dated faces, those of the most similar margins, that measure how reliable similarity is for this person.
"""


def nearest_era(
    vectors: NDArray[np.float32], centroids: NDArray[np.float32]
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """
    Return the nearest of two or more eras, its distance, and how much farther the second is, each (n,).

    ``vectors``: (n, d), ``centroids``: (k, d), unit length.
    """
    return _nearest(cosine_distances(vectors, centroids))


def nearest_era_leave_one_out(
    vectors: NDArray[np.float32], centroids: NDArray[np.float32], sets: list[Rows]
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """
    Return the same for dated faces, each left out of its own centroid.

    ``sets``: the rows that each centroid is made of.
    """
    gaps = cosine_distances(vectors, centroids)
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
    Return the confidence that faces with these margins are in the right era, in [0, 1], (n,).

    ``of_dated``: (m,), the margins of faces whose dates are known; ``is_right``: whether similarity placed them
    correctly; ``scale``: the ratio of distances in this space to those in the buffalo_l space.
    """
    usual: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-(AT_NO_MARGIN + PER_MARGIN * margins / scale)))
    if len(of_dated) == 0:
        return usual
    count = min(WITNESSES, len(of_dated))
    here = np.empty(len(margins))
    for rows in row_blocks(len(margins), len(of_dated)):
        apart = np.abs(margins[rows, None] - of_dated[None, :])
        likest = np.argsort(apart, axis=1, kind="stable")[:, :count]
        here[rows] = (is_right[likest].sum(axis=1) + 1.0) / (count + 2.0)  # the rule of succession
    lower: NDArray[np.float64] = np.minimum(usual, here)
    return lower


def _nearest(gaps: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    two = np.partition(gaps, 1, axis=1)
    return gaps.argmin(axis=1), two[:, 0], two[:, 1] - two[:, 0]

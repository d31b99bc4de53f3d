"""
The confidence of an identification: the probability of each identity, and that the face is nobody's of them.

A stranger resembles the nearest of many identities more than the nearest of few. So the odds fall with their number, and
with the number of exemplars of each. Level and slope were fitted on half of the people of LFW and three synthetic hard
libraries. Their galleries had 20 to 600 people, and up to 2 % wrong members. Half of the faces were strangers'. ``tests/bench/bench_identify_confidence.py`` checks them on the other half,
other libraries, and the labelled photos with two models (docs/accuracy.md). Of buffalo_l they are unmeasured.
"""

import numpy as np
from numpy.typing import NDArray

AT_CUT = 4.38
"""The log odds of the only identity there is, with one exemplar, when the likeness is that of the cluster cut."""

PER_LIKENESS = 44.3
"""Their growth per unit of likeness (cosine)."""

SUREST = 0.999
"""The highest confidence: the errors that remain there are wrong members and people who look alike."""


def confidences(
    likenesses: NDArray[np.float64], counts: NDArray[np.int64], cluster: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """
    Return the probability of each of p identities for each of f faces, (f, p), and that of nobody, (f,).

    They add up to 1 for each face. ``likenesses``: (f, p); ``counts``: (p,), of exemplars; ``cluster``: the cut of
    average linkage in this space, a cosine distance, from which likenesses are counted.
    """
    chances = np.log(max(1, len(counts))) + np.log(counts)
    odds = np.zeros((len(likenesses), len(counts) + 1))  # the last column is nobody
    odds[:, :-1] = AT_CUT + PER_LIKENESS * (likenesses - (1.0 - cluster)) - chances
    shares = np.exp(odds - odds.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    known = SUREST * shares[:, :-1]
    return known, 1.0 - known.sum(axis=1)

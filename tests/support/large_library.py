"""
An invented library of any size with the distribution of large libraries: few frequent people, many strangers.

Four faces of ten are strangers. The others' people have two to ``MOST`` faces, by a power law. Two faces of one person
have a cosine of about 0.59. Those of two people spread about 0 by 0.06, as on real photos (LFW, a MobileFaceNet). The
directions of people, like those of real ones, do not fill the space evenly.
"""

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

MOST = 4000
STRANGERS = 0.4
LIKENESS = 0.59
EVENNESS = 54
"""The number of dimensions after which the variance of people's directions has fallen to a third."""


def sizes_of(n: int, seed: int = 0) -> NDArray[np.int64]:
    """Return the number of faces of each person, in no order; their sum is ``n``."""
    rng = np.random.default_rng(seed)
    strangers = int(STRANGERS * n)
    drawn = np.minimum(2 + rng.pareto(0.75, size=n), MOST).astype(np.int64)
    people = drawn[: np.searchsorted(np.cumsum(drawn), n - strangers)]
    strangers = n - int(people.sum())
    return rng.permutation(np.concatenate([people, np.ones(strangers, dtype=np.int64)]))


def persons_of(n: int, seed: int = 0) -> NDArray[np.int64]:
    """The person of each face of `large_library`."""
    sizes = sizes_of(n, seed)
    who = np.empty(n, dtype=np.int64)
    who[_places(n, seed)] = np.repeat(np.arange(len(sizes)), sizes)
    return who


def large_library(n: int, seed: int = 0, d: int = 512) -> Vectors:
    """Vectors of unit length, (n, d), made in blocks, so that only the result is of that size."""
    sizes = sizes_of(n, seed)
    places = _places(n, seed)
    evenness = np.exp(-np.arange(d) / (2 * EVENNESS), dtype=np.float32)
    vectors = np.empty((n, d), dtype=np.float32)
    ends = np.cumsum(sizes)
    first = 0
    while first < len(sizes):
        before = int(ends[first] - sizes[first])
        last = max(first + 1, int(np.searchsorted(ends, before + 10_000)))
        rng = np.random.default_rng((seed, first))
        centres = _unit(rng.standard_normal((last - first, d), dtype=np.float32) * evenness)
        faces = np.repeat(centres, sizes[first:last], axis=0) * np.float32(np.sqrt(LIKENESS))
        noise = rng.standard_normal(faces.shape, dtype=np.float32)
        vectors[places[before : ends[last - 1]]] = _unit(faces + np.float32(np.sqrt((1 - LIKENESS) / d)) * noise)
        first = last
    return vectors


def _places(n: int, seed: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed + 1).permutation(n)


def _unit(vectors: Vectors) -> Vectors:
    lengths: Vectors = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / lengths

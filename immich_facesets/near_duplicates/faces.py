"""
Near-duplicate faces: re-saved, shrunk, recoloured or slightly cropped copies of one photo, which count once.

Byte-identical files share one content and are not compared here. Two faces are near-duplicates when two independent
criteria agree: the perceptual hashes are similar, and the vectors are near. Either alone errs. Two portraits before the
same wall look alike, and a recogniser is built to ignore the differences between two photos of a person.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from immich_facesets.checkpoints import checkpoint
from immich_facesets.clustering.blocked_products import row_blocks
from immich_facesets.clustering.disjoint_sets import DisjointSets, Places
from immich_facesets.clustering.linkage import split_by

_PAIRS = 8192  # pairs checked at once: 64 MiB of float64 at 512 dimensions
_SLACK = 1e-4  # far above the rounding of a float32 product of unit vectors, far below any threshold


@dataclass(frozen=True, slots=True)
class Likeness:
    """
    The largest differences between two faces that are near-duplicates; both limits must hold.

    ``bits``: Hamming distance of the perceptual hashes. ``distance``: cosine distance. Both were measured on 77
    labelled photos and their copies: re-saved at quality 50, halved, cropped, brightened, noisy, or grey. Of the
    copies, 95 % lie within 10 bits. None of 295 pairs of different photos of one person came below 14 bits. Of the
    copies, 95 % lie within a distance of 0.10 (grey ones up to 0.15). Of the pairs of different photos, 99 % lie beyond
    0.21. The limit is wider than a space's ``near`` point, where the vector is the only criterion.
    """

    bits: int = 10
    distance: float = 0.15


DEFAULT_LIKENESS = Likeness()


def near_groups(
    vectors: NDArray[np.float32], hashes: Sequence[int], likeness: Likeness = DEFAULT_LIKENESS
) -> tuple[tuple[int, ...], ...]:
    """
    Return the connected components of the near-duplicate relation, as row numbers; every row is in exactly one.

    ``vectors``: (n, d), unit length; ``hashes``: one per row. The result is exact and independent of the order of the
    rows: each pair is compared in float64. Groups and their rows ascend. O(n^2 d) time, O(n) memory.
    """
    if len(vectors) != len(hashes):
        raise ValueError(f"{len(vectors)} vectors, but {len(hashes)} hashes")
    prints = np.array(hashes, dtype=np.uint64)
    sets = DisjointSets(len(prints))
    for block in row_blocks(len(prints), len(prints)):
        for ones, others in _pairs(vectors, prints, block, likeness):
            sets.join(ones, others)
    return tuple(tuple(rows.tolist()) for rows in split_by(sets.labels()))


def collapse(groups: Iterable[Sequence[int]], places: Mapping[int, tuple[int, ...]]) -> tuple[int, ...]:
    """
    Return the row that represents each group: the one with the lowest place; places are compared as tuples.

    Rows without a place cannot represent a group, as their crop failed its check. A group of only such rows is left
    out.
    """
    able = ([row for row in group if row in places] for group in groups)
    return tuple(min(rows, key=places.__getitem__) for rows in able if rows)


def _pairs(
    vectors: NDArray[np.float32], prints: NDArray[np.uint64], block: slice, likeness: Likeness
) -> Iterator[tuple[Places, Places]]:
    """Yield, in blocks, the near-duplicate pairs whose first row is in ``block``."""
    start = block.start
    close = vectors[block] @ vectors[start:].T >= 1.0 - likeness.distance - _SLACK
    ones, others = np.nonzero(np.triu(close, 1))
    ones, others = ones + start, others + start
    alike = np.bitwise_count(prints[ones] ^ prints[others]) <= likeness.bits
    ones, others = ones[alike], others[alike]
    for first in range(0, len(ones), _PAIRS):
        checkpoint()
        some = slice(first, first + _PAIRS)
        left, right = vectors[ones[some]].astype(np.float64), vectors[others[some]].astype(np.float64)
        near = 1.0 - (left * right).sum(axis=1) <= likeness.distance
        yield ones[some][near], others[some][near]

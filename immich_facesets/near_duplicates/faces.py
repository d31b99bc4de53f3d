"""
Near-duplicate faces: copies of one photo, and shots of one moment, which count once.

Byte-identical files share one content and are not compared here. Two faces are near-duplicates when two independent
criteria agree: the hashes of the aligned faces are similar, as they are or mirrored, and the vectors are near. Either
alone errs. Two portraits before the same wall look alike, and a recogniser is built to ignore the differences between
two photos of a person. Vectors below a space's ``near`` decide alone where the dates allow one moment.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from immich_facesets.checkpoints import checkpoint
from immich_facesets.clustering.blocked_products import row_blocks
from immich_facesets.clustering.disjoint_sets import DisjointSets, Places
from immich_facesets.clustering.linkage import split_by
from immich_facesets.dates import span_of
from immich_facesets.near_duplicates.perceptual_hash import MIRRORED

_PAIRS = 8192  # pairs checked at once: 64 MiB of float64 at 512 dimensions
_SLACK = 1e-4  # far above the rounding of a float32 product of unit vectors, far below any threshold


MOMENT_SECONDS = 10.0
"""Pictures taken within so many seconds may show one moment."""


@dataclass(frozen=True, slots=True)
class CopyLimits:
    """
    The largest differences between two faces that are near-duplicates.

    ``bits``: Hamming distance of the hashes, ``distance``: cosine distance; both must hold. ``near``: the cosine
    distance below which faces that may be of one moment are near-duplicates whatever their hashes.

    Measured on 110 labelled photos and their copies: turned by 1 to 8 degrees, cropped, mirrored, re-saved at quality
    50, halved, brightened, noisy, or grey. Of each kind, 98 % lie within both limits. Of 237 pairs of different photos
    of one person none came below 14 bits, and none below a distance of 0.13.
    """

    bits: int = 10
    distance: float = 0.15
    near: float = 0.05

    @classmethod
    def in_space(cls, near: float) -> Self:
        """Return the limits for a space in which vectors of one moment lie within ``near``: the others in proportion."""
        return cls(distance=near * cls().distance / cls().near, near=near)


DEFAULT_COPY_LIMITS = CopyLimits()


@dataclass(frozen=True, slots=True, eq=False)
class CopyFacts:
    """
    The facts about n faces that tell copies: the hashes of the aligned faces, and when each picture was taken.

    ``earliest`` and ``latest``: in seconds, the day's ends for a date without a time, infinite for no date.
    """

    hashes: NDArray[np.uint64]
    earliest: NDArray[np.float64]
    latest: NDArray[np.float64]

    @classmethod
    def of(cls, hashes: Sequence[int], taken: Sequence[str | None]) -> Self:
        """``taken``: local ISO dates, with or without a time; None where unknown."""
        spans = np.array([span_of(text) for text in taken], dtype=np.float64).reshape(-1, 2)
        inset = np.where(spans[:, 0] < spans[:, 1], MOMENT_SECONDS, 0.0)  # whole days that follow each other stay apart
        return cls(np.array(hashes, dtype=np.uint64), spans[:, 0] + inset, spans[:, 1] - inset)

    def are_similar(self, ones: Places, others: Places, bits: int) -> NDArray[np.bool_]:
        """Return which pairs have hashes within so many bits, as they are or one of them mirrored."""
        apart = self.hashes[ones] ^ self.hashes[others]
        similar: NDArray[np.bool_] = (np.bitwise_count(apart) <= bits) | (np.bitwise_count(apart ^ MIRRORED) <= bits)
        return similar

    def may_be_one_moment(self, ones: Places, others: Places) -> NDArray[np.bool_]:
        first = np.minimum(self.latest[ones], self.latest[others])
        last = np.maximum(self.earliest[ones], self.earliest[others])
        within: NDArray[np.bool_] = last - first <= MOMENT_SECONDS
        return within


def near_groups(
    vectors: NDArray[np.float32], facts: CopyFacts, limits: CopyLimits = DEFAULT_COPY_LIMITS
) -> tuple[tuple[int, ...], ...]:
    """
    Return the connected components of the near-duplicate relation, as row numbers; every row is in exactly one.

    ``vectors``: (n, d), unit length; ``facts``: of the same rows. The result is exact and independent of the order of
    the rows: each pair is compared in float64. Groups and their rows ascend. O(n^2 d) time, O(n) memory.
    """
    count = len(facts.hashes)
    if len(vectors) != count:
        raise ValueError(f"{len(vectors)} vectors, but {count} hashes")
    sets = DisjointSets(count)
    for block in row_blocks(count, count):
        for ones, others in _pairs(vectors, facts, block, limits):
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
    vectors: NDArray[np.float32], facts: CopyFacts, block: slice, limits: CopyLimits
) -> Iterator[tuple[Places, Places]]:
    """Yield, in blocks, the near-duplicate pairs whose first row is in ``block``."""
    start = block.start
    products = vectors[block] @ vectors[start:].T
    rows, columns = np.nonzero(np.triu(products >= 1.0 - max(limits.distance, limits.near) - _SLACK, 1))
    for first in range(0, len(rows), _PAIRS):
        checkpoint()
        ones, others = rows[first : first + _PAIRS], columns[first : first + _PAIRS]
        is_near = products[ones, others] >= 1.0 - limits.near - _SLACK
        ones, others = ones + start, others + start
        is_similar = facts.are_similar(ones, others, limits.bits)
        is_moment = is_near & facts.may_be_one_moment(ones, others)
        most = np.where(is_similar, limits.distance, -1.0)
        most = np.where(is_moment, np.maximum(most, limits.near), most)
        may_be = is_similar | is_moment
        ones, others, most = ones[may_be], others[may_be], most[may_be]
        left, right = vectors[ones].astype(np.float64), vectors[others].astype(np.float64)
        near = 1.0 - (left * right).sum(axis=1) <= most
        yield ones[near], others[near]

"""
Near-identical whole pictures: copies that were re-saved, shrunk or recoloured, and shots of one moment.

A perceptual hash of the picture finds candidates. Their faces confirm them or, without any faces, their date and shape.
Pairs of hashes are found by bands (multi-index hashing): of two that differ in k bits, at least one of k + 1 bands is
equal.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from immich_facesets.checkpoints import checkpoint
from immich_facesets.clustering.disjoint_sets import DisjointSets
from immich_facesets.clustering.linkage import split_by

MOST_BITS = 16
"""The most bits to allow: beyond it unrelated pictures begin to match, and bands are as slow as all pairs."""

_HASH_BITS = 64
_TILE_ROWS, _TILE_COLUMNS = 256, 4096  # compared at once: 8 MiB, which stay in the cache


@dataclass(frozen=True, slots=True)
class PictureLikeness:
    """
    The largest differences between two near-identical pictures.

    ``bits``: Hamming distance of the hashes. ``distance``: cosine distance of each pair of faces. ``overlap``: least
    IoU of their boxes, in shares of the picture. Pictures without faces must be taken within ``seconds``, or differ in
    at most ``tight_bits`` and have the same shape. ``aspect``: tolerance of the shape, as the ratio of the
    aspect ratios less 1.

    Measured on copies of 129 labelled photos. Copies re-saved at quality 50, halved or made grey differ in at most 2
    bits, and brightened ones in 6. Of copies cropped by 2 % on each side, 95 % differ in at most 8 bits. For 91 to 98 %
    of the copies, all faces lie within 0.15. Within 0.05, a space's ``near``, it is only 16 to 91 %; with two criteria,
    each may be less strict. The boxes overlap by 0.59 in 95 %.
    """

    bits: int = 10
    distance: float = 0.15
    overlap: float = 0.5
    seconds: float = 10.0
    tight_bits: int = 4
    aspect: float = 0.02


@dataclass(frozen=True, slots=True)
class Pictures:
    """
    Pictures and their faces, as columns; the picture columns have length n.

    ``hashes``: uint64. ``width`` and ``height``: in pixels. ``taken``: seconds since 1970, NaN where unknown. The faces
    of picture i are the rows ``starts[i]:starts[i + 1]`` of ``vectors`` and ``boxes``; ``starts``: (n + 1,).
    ``vectors``: (m, d), unit length. ``boxes``: (m, 4), x1, y1, x2, y2 in shares of the picture's sides.
    """

    hashes: NDArray[np.uint64]
    width: NDArray[np.int64]
    height: NDArray[np.int64]
    taken: NDArray[np.float64]
    starts: NDArray[np.int64]
    vectors: NDArray[np.float32]
    boxes: NDArray[np.float32]

    def __post_init__(self) -> None:
        lengths = {field.name: len(getattr(self, field.name)) for field in fields(self)}
        n, m = lengths["hashes"], lengths["vectors"]
        if lengths != {**dict.fromkeys(lengths, n), "starts": n + 1, "vectors": m, "boxes": m} or self.starts[-1] != m:
            raise ValueError("the columns of pictures do not fit together")

    def __len__(self) -> int:
        return len(self.hashes)


def near_hashes(hashes: NDArray[np.uint64], bits: int) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """
    Yield every pair of hashes that differ in at most ``bits`` (0 to 16) of their 64 bits, each once, lower row first.

    The result is exact. Pairs come in blocks: the lower rows and the higher rows. 100,000 pictures within 10 bits take
    seconds.
    """
    if not 0 <= bits <= MOST_BITS:
        raise ValueError(f"hashes are compared within 0 to {MOST_BITS} bits, not {bits}")
    masks = _bands(bits + 1)
    for band, mask in enumerate(masks):
        order = np.argsort(hashes & mask, kind="stable")
        ordered = hashes[order]
        for ones, others in _near_in_runs(ordered, ordered & mask, bits):
            low, high = np.minimum(order[ones], order[others]), np.maximum(order[ones], order[others])
            differences = ordered[ones] ^ ordered[others]
            is_here = (differences & mask) == 0
            for earlier in masks[:band]:  # if an earlier band is equal, that band yielded the pair
                is_here &= (differences & earlier) != 0
            if is_here.any():
                yield low[is_here], high[is_here]


def near_identical(pictures: Pictures, likeness: PictureLikeness | None = None) -> tuple[tuple[int, ...], ...]:
    """
    Return groups of two or more near-identical pictures, as row numbers: connected components of near-identical pairs.

    Groups and their rows ascend; a picture is in at most one group. The order of the pictures affects nothing else.
    """
    likeness = likeness or PictureLikeness()
    counts = np.diff(pictures.starts)
    sets = DisjointSets(len(pictures))
    for low, high in near_hashes(pictures.hashes, likeness.bits):
        may_be = counts[low] == counts[high]
        has_faces = may_be & (counts[low] > 0)
        is_alike = may_be & ~has_faces & _faceless_alike(pictures, low, high, likeness)
        sets.join(low[is_alike], high[is_alike])
        for one, other in zip(low[has_faces].tolist(), high[has_faces].tolist(), strict=True):
            checkpoint()
            if not sets.is_joined(one, other) and _faces_alike(pictures, one, other, likeness):
                sets.join(np.array([one]), np.array([other]))
    return tuple(tuple(rows.tolist()) for rows in split_by(sets.labels()) if len(rows) > 1)


def _bands(count: int) -> list[np.uint64]:
    """Return masks that divide the 64 bits into ``count`` runs of nearly equal length."""
    edges = [_HASH_BITS * band // count for band in range(count + 1)]
    return [np.uint64((1 << stop) - (1 << start)) for start, stop in pairwise(edges)]


def _near_in_runs(
    hashes: NDArray[np.uint64], keys: NDArray[np.uint64], bits: int
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield pairs of places within ``bits``: all that share one of the sorted ``keys``, and some that do not."""
    ends = np.searchsorted(keys, keys, side="right")
    for top in range(0, len(keys), _TILE_ROWS):
        bottom = min(top + _TILE_ROWS, len(keys))
        for left in range(top, int(ends[bottom - 1]), _TILE_COLUMNS):
            checkpoint()
            right = min(left + _TILE_COLUMNS, int(ends[bottom - 1]))
            apart = np.bitwise_count(hashes[top:bottom, None] ^ hashes[None, left:right])
            ones, others = np.nonzero(apart <= bits)
            is_upper = ones + top < others + left
            if is_upper.any():
                yield ones[is_upper] + top, others[is_upper] + left


def _faceless_alike(
    pictures: Pictures, low: NDArray[np.intp], high: NDArray[np.intp], likeness: PictureLikeness
) -> NDArray[np.bool_]:
    """Return which pairs of pictures without faces are of one moment, or differ very little."""
    is_one_moment = np.abs(pictures.taken[low] - pictures.taken[high]) <= likeness.seconds  # never true for NaN
    is_tight = np.bitwise_count(pictures.hashes[low] ^ pictures.hashes[high]) <= likeness.tight_bits
    one, other = (np.log(pictures.width[rows] / pictures.height[rows]) for rows in (low, high))
    is_one_shape = np.abs(one - other) <= np.log1p(likeness.aspect)
    alike: NDArray[np.bool_] = is_one_moment | (is_tight & is_one_shape)
    return alike


def _faces_alike(pictures: Pictures, one: int, other: int, likeness: PictureLikeness) -> bool:
    """Return whether each face has a distinct counterpart in the other picture, at the same place and near."""
    mine = slice(int(pictures.starts[one]), int(pictures.starts[one + 1]))
    yours = slice(int(pictures.starts[other]), int(pictures.starts[other + 1]))
    overlaps = _overlaps(pictures.boxes[mine], pictures.boxes[yours])
    pair = overlaps.argmax(axis=1)
    if len(np.unique(pair)) < len(pair) or overlaps.max(axis=1).min() < likeness.overlap:
        return False
    likenesses = (pictures.vectors[mine] * pictures.vectors[yours][pair]).sum(axis=1, dtype=np.float64)
    return bool((1.0 - likenesses <= likeness.distance).all())


def _overlaps(ones: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the IoU of every box of ``ones`` (k, 4) with every box of ``others`` (k, 4), as (k, k)."""
    top = np.maximum(ones[:, None, :2], others[None, :, :2])
    bottom = np.minimum(ones[:, None, 2:], others[None, :, 2:])
    shared = np.prod(np.maximum(bottom - top, 0), axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (ones, others)]
    overlap: NDArray[np.float32] = shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-12)
    return overlap

"""
Connected components of the graph of near pairs, found by tiles of matrix products.

`join_near` compares all pairs exactly. `join_likely` is for more rows: it compares sketches of a quarter of the
dimensions, and computes the full products only where the sketches are near. A pair well above the floor is hardly ever
missed; of pairs right at the floor, one in forty is. Most pairs are also connected through others.

Why no index of approximate neighbours: in many dimensions two faces of one person (a cosine of 0.6) are hardly nearer
than those of two strangers (0 to 0.3). A graph or cells lead a search to people with many faces, and miss the second
face of a person with only two. The table gives the time, and the share of pairs found of people with 2 to 5 faces. It
was measured among 50,000 synthetic faces of 512 dimensions, on two busy cores. Each search returned 16 neighbours, or
up to 64 with coarse codes.

    usearch 2.26, HNSW, 16 links, int8; float16:    151 s; 203 s    0.755; 0.917    55 MB to install
    faiss-cpu 1.15, HNSW, 16 links, 8 bits:         81 s            0.793           65 MB
    the same, 512 cells, 16 of them; 51:            9 s; 72 s       0.956; 0.995
    the same, signs of all dimensions compared:     29 s            1.000
    the same, all products of 4-bit codes:          6 s             1.000
    a sample, means and sketches, with all merging: 9 s             1.000           nothing

Only the coarse comparison of all pairs finds everything, and numpy does that as fast. It is also deterministic. In two
graphs built by two threads of usearch, three of four rows had different neighbours.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from immich_facesets.checkpoints import checkpoint
from immich_facesets.clustering.blocked_products import SLACK
from immich_facesets.clustering.disjoint_sets import DisjointSets, Places

Singles = NDArray[np.float32]

TILE = (1024, 2048)
"""Rows and columns of one tile of products: 8 MB, which are processed while they are in the cache."""

SKETCH = 128
"""Dimensions of a sketch: half as many give too many false near pairs, twice as many take twice as long."""

SURENESS = 2.0
"""The tolerance, in standard deviations, for pairs whose sketches are less near than the vectors."""

LEAST_FLOOR = 3.0
"""
The least floor for sketches, in standard deviations of the products of strangers.

Below it, too many of these would need full products.
"""

DENSE = 4
"""A tile with more near pairs than this per row and column is dense."""


def join_near(sets: DisjointSets, units: Singles, floor: float, rows: slice = slice(None)) -> None:
    """Join pairs with a product of ``floor`` or more, of ``rows`` with themselves and all following rows."""
    for one, two in _near_pairs(sets, units, floor, rows):
        sets.join(one, two)


def join_likely(sets: DisjointSets, units: Singles, floor: float, rows: slice = slice(None)) -> None:
    """Join the same pairs as `join_near`, but find them by sketches; the rows must be of unit length."""
    d = units.shape[1]
    deviation = (1 - floor**2) * np.sqrt((1 - SKETCH / d) / SKETCH) if d > 2 * SKETCH else np.inf
    if floor - SURENESS * deviation < LEAST_FLOOR / np.sqrt(SKETCH):
        join_near(sets, units, floor, rows)
        return
    for one, two in _near_pairs(sets, _sketches(units), floor - SURENESS * deviation, rows):
        is_apart = sets.lowest(one) != sets.lowest(two)
        close, other = one[is_apart], two[is_apart]
        for start in range(0, len(close), 8192):
            checkpoint()
            some, others = close[start : start + 8192], other[start : start + 8192]
            is_near = np.einsum("ij,ij->i", units[some], units[others]) >= floor
            sets.join(some[is_near], others[is_near])


def _near_pairs(sets: DisjointSets, units: Singles, floor: float, rows: slice) -> Iterator[tuple[Places, Places]]:
    """
    Yield, tile by tile, the pairs with a product of ``floor`` or more that are not joined yet.

    For a dense tile, one pair of each row is yielded first. Once these are joined, hardly any are left to list.
    """
    start, stop, _ = rows.indices(len(units))
    for top in range(start, stop, TILE[0]):
        ones = np.arange(top, min(top + TILE[0], stop))
        for left in range(top, len(units), TILE[1]):
            checkpoint()
            twos = np.arange(left, min(left + TILE[1], len(units)))
            if sets.is_one(np.concatenate((ones, twos))):
                continue
            is_near = units[ones[0] : ones[-1] + 1] @ units[twos[0] : twos[-1] + 1].T >= np.float32(floor)
            if np.count_nonzero(is_near) > DENSE * (len(ones) + len(twos)):
                some = np.flatnonzero(is_near.any(axis=1))
                yield ones[some], twos[is_near[some].argmax(axis=1)]
                is_near &= sets.lowest(ones)[:, None] != sets.lowest(twos)
            one, two = np.divmod(np.flatnonzero(is_near), len(twos))
            yield ones[one], twos[two]


def _sketches(units: Singles) -> Singles:
    """Return projections of the rows onto a fixed random subspace, scaled to unit length, (n, SKETCH)."""
    square = np.random.default_rng(0).standard_normal((units.shape[1], SKETCH))
    projection = np.linalg.qr(square)[0].astype(np.float32)
    sketches = np.empty((len(units), SKETCH), dtype=np.float32)
    for start in range(0, len(units), 4096):
        checkpoint()
        part = units[start : start + 4096] @ projection
        sketches[start : start + 4096] = part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), SLACK)
    return sketches

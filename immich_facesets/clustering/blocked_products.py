"""Inner products of unit vectors in blocks of limited memory, and a bound on their rounding error."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from immich_facesets.checkpoints import checkpoint

Vectors = NDArray[np.float32] | NDArray[np.float64]

BLOCK_CELLS = 4_000_000
"""The number of cells of one block of a matrix product: 16 MB of float32."""

SLACK = 1e-5
"""A bound on the single-precision error of a product of unit vectors; within it, double precision decides."""


def pair_products(vectors: NDArray[np.float64], one: NDArray[np.intp], two: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the products of pairs of rows, (pairs,), bit for bit independent of the order within a pair."""
    products = np.empty(len(one))
    for start in range(0, len(one), 8192):
        checkpoint()
        part = slice(start, start + 8192)
        products[part] = np.einsum("ij,ij->i", vectors[one[part]], vectors[two[part]])
    return products


def row_blocks(rows: int, columns: int, *, most_rows: int = 2048) -> Iterator[slice]:
    """
    Yield slices of ``rows`` so small that their product with ``columns`` has at most ``BLOCK_CELLS`` cells.

    A computation may be ended before each of them.
    """
    step = max(1, min(most_rows, BLOCK_CELLS // max(1, columns)))
    for start in range(0, rows, step):
        checkpoint()
        yield slice(start, start + step)


class Directions:
    """Some ``rows`` of ``vectors`` as unit vectors, divided by ``norms`` on access to avoid a second matrix."""

    def __init__(self, vectors: Vectors, norms: NDArray[np.float64], rows: NDArray[np.intp]) -> None:
        self.d = vectors.shape[1]
        self._vectors = vectors
        self._norms = norms
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def doubles(self, places: NDArray[np.intp]) -> NDArray[np.float64]:
        rows = self._rows[places]
        directions: NDArray[np.float64] = self._vectors[rows] / self._norms[rows, None]
        return directions

    def singles(self, places: NDArray[np.intp], out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Return unit vectors in single precision, normalised in double precision; written into ``out`` where given."""
        directions = np.empty((len(places), self.d), dtype=np.float32) if out is None else out
        for start in range(0, len(places), 4096):
            checkpoint()
            directions[start : start + 4096] = self.doubles(places[start : start + 4096])
        return directions

"""Products of unit vectors, in blocks that fit the memory, and how far they can err."""

import numpy as np
from numpy.typing import NDArray

BLOCK_CELLS = 4_000_000
"""Cells of one block of a matrix product: 16 MB of float32."""

SLACK = 1e-5
"""More than single precision can err on the product of two unit vectors: within it, double precision decides."""


def pair_products(vectors: NDArray[np.float64], one: NDArray[np.intp], two: NDArray[np.intp]) -> NDArray[np.float64]:
    """The products of pairs of rows, (pairs,), bit for bit the same whichever of the two comes first."""
    products = np.empty(len(one))
    for start in range(0, len(one), 8192):
        part = slice(start, start + 8192)
        products[part] = np.einsum("ij,ij->i", vectors[one[part]], vectors[two[part]])
    return products

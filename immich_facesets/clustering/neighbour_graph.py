"""All pairs of faces within a distance: the neighbour graph that third-party clustering methods use."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from immich_facesets.clustering.blocked_products import row_blocks

MOST_PAIRS = 40_000_000
"""The most pairs to hold in memory: 480 MB."""


class TooManyPairsError(Exception):
    """An error: more pairs than may be held in memory."""


@dataclass(frozen=True, slots=True)
class NearPairs:
    """
    Both directions of every near pair, with distances.

    The neighbours of face ``i`` are ``others[starts[i]:starts[i + 1]]``, nearest first; ``starts``: (n + 1,). A face is
    not its own neighbour.
    """

    starts: NDArray[np.int64]
    others: NDArray[np.int32]
    distances: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.starts) - 1

    @classmethod
    def within(cls, vectors: NDArray[np.float32], limit: float) -> Self:
        """Return every pair of unit vectors (n, d) at cosine distance ``limit`` or less. O(n^2 d) time, in blocks."""
        n, total = len(vectors), 0
        counts, others, distances = [np.zeros(1, dtype=np.int64)], [], []
        for rows in row_blocks(n, n, most_rows=n):
            block = 1 - vectors[rows] @ vectors.T
            here = np.arange(len(block))
            block[here, here + rows.start] = np.inf
            row, column = np.nonzero(block <= limit)
            total += len(row)
            if total > MOST_PAIRS:
                raise TooManyPairsError(f"more than {MOST_PAIRS:,} pairs are within {limit:.2f}")
            distance = block[row, column]
            order = np.lexsort((column, distance, row))
            counts.append(np.bincount(row, minlength=len(block)))
            others.append(column[order].astype(np.int32))
            distances.append(np.maximum(distance[order], 0))
        return cls(
            np.cumsum(np.concatenate(counts)),
            np.concatenate(others) if others else np.zeros(0, np.int32),
            np.concatenate(distances) if distances else np.zeros(0, np.float32),
        )

    def nearer(self, limit: float) -> Self:
        """Return only the pairs within ``limit``."""
        keep = self.distances <= limit
        kept = np.concatenate([[0], np.cumsum(keep)])
        return type(self)(kept[self.starts], self.others[keep], self.distances[keep])

    def rows(self) -> Iterator[NDArray[np.int32]]:
        """Yield the neighbours of each face."""
        for start, stop in zip(self.starts[:-1].tolist(), self.starts[1:].tolist(), strict=True):
            yield self.others[start:stop]

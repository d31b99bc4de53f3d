"""The bank of exemplars of all identities, and the exact search in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from immich_facesets.clustering.blocked_products import row_blocks


@dataclass(frozen=True, slots=True, eq=False)
class ExemplarBank:
    """
    The exemplars of p identities, in the order of their ``numbers`` (p,), which ascend.

    ``vectors``: (m, d) float32, unit length, those of one identity together. ``starts``: (p,), the first row of each
    identity; ``counts``: (p,), at least 1. ``means``: (p, d), the normalised mean of each identity's exemplars.

    Half precision changes no answer either, but a product with it takes ten times as long (tests/bench/bench_identify.py).
    """

    numbers: NDArray[np.int64]
    vectors: NDArray[np.float32]
    starts: NDArray[np.intp]
    counts: NDArray[np.int64]
    means: NDArray[np.float32]

    @classmethod
    def of(cls, exemplars: Mapping[int, NDArray[np.float32]], dimension: int) -> Self:
        """Return the bank of these identities, each with its exemplars (k, d), k at least 1."""
        numbers = sorted(exemplars)
        held = [exemplars[number] for number in numbers]
        counts = np.array([len(one) for one in held], dtype=np.int64)
        nothing = np.zeros((0, dimension), dtype=np.float32)
        return cls(
            numbers=np.array(numbers, dtype=np.int64),
            vectors=np.concatenate([nothing, *held]),
            starts=(np.cumsum(counts) - counts).astype(np.intp),
            counts=counts,
            means=np.stack([_mean(one) for one in held]) if held else nothing,
        )

    def likenesses(self, faces: NDArray[np.float32]) -> NDArray[np.float64]:
        """
        Return how much each of ``faces`` (f, d), unit length, resembles each identity, (f, p), in [-1, 1].

        It is the mean of two cosines: to the nearest exemplar, which knows each age and look, and to the mean of the
        exemplars, which one wrong face among them hardly moves. Every exemplar is compared: nothing is approximate.
        """
        found = np.empty((len(faces), len(self.numbers)))
        for part in row_blocks(len(faces) if len(self.numbers) else 0, len(self.vectors)):
            nearest = np.maximum.reduceat(faces[part] @ self.vectors.T, self.starts, axis=1)
            found[part] = (nearest + faces[part] @ self.means.T) / 2.0
        return found


def _mean(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    total = vectors.sum(axis=0, dtype=np.float64)
    length = float(np.linalg.norm(total))
    mean: NDArray[np.float32] = vectors[0] if length < 1e-9 else (total / length).astype(np.float32)
    return mean

"""Face verification: the true acceptance rate of pairs at a given false acceptance rate."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Pairs:
    """Cosine distances of all pairs: of one person's faces (``same``) and of different people's (``different``)."""

    same: NDArray[np.float64]
    different: NDArray[np.float64]

    def threshold(self, far: float) -> float:
        """The distance below which the share ``far`` of the pairs of different people lies."""
        ordered = np.sort(self.different)
        return float(ordered[int(far * len(ordered))])

    def tar(self, threshold: float) -> float:
        return float((self.same < threshold).mean())

    def far(self, threshold: float) -> float:
        return float((self.different < threshold).mean())


def pairs_of(vectors: NDArray[np.floating], names: Sequence[str]) -> Pairs:
    """All pairs of rows of ``vectors`` (n, d); rows that are zeros or not finite match no other row."""
    rows = np.asarray(vectors, np.float64)
    lengths: NDArray[np.float64] = np.linalg.norm(rows, axis=1)
    usable: NDArray[np.bool_] = np.isfinite(lengths) & (lengths > 0)
    first, second = np.triu_indices(len(rows), 1)
    clean = np.where(usable[:, None], rows, 0.0)
    distances = 1.0 - (clean @ clean.T)[first, second]
    distances[~(usable[first] & usable[second])] = np.inf
    people = np.unique(np.asarray(names), return_inverse=True)[1].astype(np.int64)
    is_same: NDArray[np.bool_] = (people[first] - people[second]) == 0
    return Pairs(distances[is_same], distances[~is_same])


def tar_at_far(vectors: NDArray[np.floating], names: Sequence[str], far: float) -> float:
    """The true acceptance rate at the false acceptance rate ``far``."""
    pairs = pairs_of(vectors, names)
    return pairs.tar(pairs.threshold(far))

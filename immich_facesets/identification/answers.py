"""The answer for one face: ranked identities, or nobody."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from immich_facesets.identification.bank import ExemplarBank
from immich_facesets.identification.confidence import confidences

Verdict = Literal["known", "unsure", "nobody"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One identity that a face may show. ``distance``: 1 minus the likeness; ``confidence``: in [0, 1]."""

    number: int
    distance: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Identification:
    """
    The ``candidates`` of a face, the most probable first, and the probability that it shows ``nobody`` of the known.

    ``verdict``: "known" and "nobody" are more probable than everything else together; "unsure" is neither.
    """

    verdict: Verdict
    candidates: tuple[Candidate, ...]
    nobody: float


def identify(
    bank: ExemplarBank,
    faces: NDArray[np.float32],
    *,
    cluster: float,
    limit: int,
    unnamed: Collection[int] = frozenset(),
) -> tuple[Identification, ...]:
    """
    Identify each of ``faces`` (f, d), unit length, with at most ``limit`` candidates.

    ``unnamed``: identities that compete and are never named, as strangers whom a user ignored; they count as nobody.
    """
    likenesses = bank.likenesses(faces)
    shares, nobody = confidences(likenesses, bank.counts, cluster)
    is_unnamed = np.isin(bank.numbers, list(unnamed))
    nobody = nobody + shares[:, is_unnamed].sum(axis=1)
    named = np.flatnonzero(~is_unnamed)
    return tuple(
        _answer(bank.numbers[named], likenesses[row, named], shares[row, named], float(nobody[row]), limit)
        for row in range(len(faces))
    )


def _answer(
    numbers: NDArray[np.int64], likeness: NDArray[np.float64], shares: NDArray[np.float64], nobody: float, limit: int
) -> Identification:
    order = np.lexsort((numbers, -likeness, -shares))[:limit]
    candidates = tuple(
        Candidate(int(numbers[at]), max(0.0, 1.0 - float(likeness[at])), float(shares[at])) for at in order
    )
    best = candidates[0].confidence if candidates else 0.0
    return Identification("known" if best > 0.5 else "nobody" if nobody > 0.5 else "unsure", candidates, nobody)

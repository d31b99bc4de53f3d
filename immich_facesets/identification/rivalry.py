"""Whether a picture of one person resembles another person as well."""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from immich_facesets.identification.bank import ExemplarBank


def rival_of(
    bank: ExemplarBank,
    face: NDArray[np.float32],
    number: int | None,
    *,
    match: float,
    margin: float,
    left_out: Collection[int] = frozenset(),
) -> int | None:
    """
    Return the identity that ``face`` (d,), unit length, resembles as well as the identity ``number``, if there is one.

    It is the nearest other one within ``match`` that is not farther than ``number`` by ``margin`` or more. Of an identity
    without exemplars nothing is known, so any other within ``match`` is a rival. ``left_out``: identities that nobody names.
    """
    distances = 1.0 - bank.likenesses(face[None])[0]
    is_own = bank.numbers == number
    others = np.flatnonzero(~is_own & ~np.isin(bank.numbers, list(left_out)) & (distances <= match))
    if len(others) == 0:
        return None
    nearest = others[int(distances[others].argmin())]
    own = float(distances[is_own][0]) if is_own.any() else np.inf
    return None if float(distances[nearest]) - own >= margin else int(bank.numbers[nearest])

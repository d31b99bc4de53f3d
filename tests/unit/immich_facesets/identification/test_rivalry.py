"""Whether a picture resembles somebody else as well: the law, over invented galleries."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixtures import unit
from numpy.typing import NDArray

from immich_facesets.identification.bank import ExemplarBank
from immich_facesets.identification.rivalry import rival_of

MATCH, MARGIN = 0.45, 0.05


def at(*cosines: float) -> NDArray[np.float32]:
    """A face with these cosines to the first axes."""
    face = np.zeros(8)
    face[: len(cosines)] = cosines
    face[7] = np.sqrt(1.0 - float(face @ face))
    return face.astype(np.float32)


BANK = ExemplarBank.of({number: np.eye(8, dtype=np.float32)[[number]] for number in (0, 1, 2)}, 8)


@pytest.mark.parametrize(
    ("face", "number", "rival"),
    [
        (at(0.7, 0.6), 0, None),
        (at(0.65, 0.62), 0, 1),
        (at(0.5, 0.6), 0, 1),
        (at(0.6, 0.5), 0, None),
        (at(0.7, 0.6), None, 0),
        (at(0.4, 0.6), 99, 1),
        (at(0.4, 0.4), None, None),
    ],
    ids=["clearly own", "within the margin", "nearer", "too far", "new person", "without faces", "nobody"],
)
def test_the_nearest_other_within_match_and_margin_is_the_rival(
    face: NDArray[np.float32], number: int | None, rival: int | None
) -> None:
    assert rival_of(BANK, face, number, match=MATCH, margin=MARGIN) == rival
    if rival is not None:
        assert rival_of(BANK, face, number, match=MATCH, margin=MARGIN, left_out={rival}) != rival


@given(st.integers(0, 2**32 - 1), st.one_of(st.none(), st.integers(0, 8)), st.floats(0.2, 1.2))
@settings(max_examples=80)
def test_a_rival_is_another_one_that_is_near_and_hardly_farther(seed: int, number: int | None, match: float) -> None:
    rng = np.random.default_rng(seed)
    bank = ExemplarBank.of({one: unit(rng.normal(size=(2, 6))) for one in range(6)}, 6)
    face = unit(rng.normal(size=(1, 6)))
    distances = dict(zip(bank.numbers.tolist(), (1.0 - bank.likenesses(face)[0]).tolist(), strict=True))
    own = distances.get(number, np.inf) if number is not None else np.inf
    near = {one: distance for one, distance in distances.items() if one != number and distance <= match}
    expected = min(near, key=near.__getitem__) if near else None
    if expected is not None and near[expected] - own >= MARGIN:
        expected = None
    assert rival_of(bank, face[0], number, match=match, margin=MARGIN) == expected

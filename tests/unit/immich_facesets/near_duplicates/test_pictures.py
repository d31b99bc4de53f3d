"""Near-duplicate pictures: every pair is found, and similar pictures are not duplicates."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mixtures import unit
from numpy.typing import NDArray

from immich_facesets.near_duplicates.pictures import (
    MOST_BITS,
    PictureLikeness,
    Pictures,
    near_hashes,
    near_identical,
)

ANNA, BEN = unit(np.random.default_rng(5).normal(size=(2, 64)))
LEFT, RIGHT = (0.1, 0.2, 0.3, 0.6), (0.6, 0.2, 0.8, 0.6)
Face = tuple[NDArray[np.float32], tuple[float, float, float, float]]


def pictures(
    hashes: Sequence[int],
    faces: Sequence[Sequence[Face]] = (),
    taken: Sequence[float] = (),
    sizes: Sequence[tuple[int, int]] = (),
) -> Pictures:
    faces = faces or [()] * len(hashes)
    width, height = np.array(sizes or [(400, 300)] * len(hashes)).reshape(-1, 2).T
    everybody = [face for several in faces for face in several]
    return Pictures(
        hashes=np.array(hashes, dtype=np.uint64),
        width=width,
        height=height,
        taken=np.array(taken or [np.nan] * len(hashes)),
        starts=np.cumsum([0, *map(len, faces)]),
        vectors=np.array([vector for vector, _ in everybody], np.float32).reshape(len(everybody), 64),
        boxes=np.array([box for _, box in everybody], np.float32).reshape(len(everybody), 4),
    )


def flipped(value: int, *bits: int) -> int:
    for bit in bits:
        value ^= 1 << bit
    return value


@st.composite
def families(draw: st.DrawFn) -> list[int]:
    """Hashes of which many are near each other."""
    ancestors = draw(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=4))
    children = st.tuples(st.sampled_from(ancestors), st.sets(st.integers(0, 63), max_size=MOST_BITS + 2))
    return [flipped(value, *bits) for value, bits in draw(st.lists(children, max_size=30))]


@given(families(), st.integers(0, MOST_BITS))
def test_every_near_pair_of_hashes_is_found_exactly_once(hashes: list[int], bits: int) -> None:
    blocks = near_hashes(np.array(hashes, dtype=np.uint64), bits)
    found = [pair for low, high in blocks for pair in zip(low.tolist(), high.tolist(), strict=True)]
    pairs = combinations(range(len(hashes)), 2)
    assert sorted(found) == [(i, j) for i, j in pairs if (hashes[i] ^ hashes[j]).bit_count() <= bits]


def test_no_near_pair_is_missed_where_blocks_of_work_meet() -> None:
    dice = np.random.default_rng(1)
    hashes = dice.integers(0, 1 << 12, 700).astype(np.uint64)  # few values: runs longer than a block
    found = sum(len(low) for low, _ in near_hashes(hashes, 3))
    assert found == np.triu(np.bitwise_count(hashes[:, None] ^ hashes[None]) <= 3, 1).sum()


@pytest.mark.parametrize("bits", [-1, MOST_BITS + 1])
def test_a_distance_that_hashes_cannot_tell_is_refused(bits: int) -> None:
    with pytest.raises(ValueError, match="bits"):
        list(near_hashes(np.zeros(2, np.uint64), bits))


def test_pictures_that_look_alike_are_one_only_if_their_faces_are() -> None:
    copy = unit((ANNA + 0.05 * BEN)[None])[0]
    found = pictures(
        [0, 1, 3, 0, 0, 0, 2**20 - 1],
        [
            [(ANNA, LEFT)],
            [(copy, LEFT)],
            [(BEN, LEFT)],
            [(ANNA, RIGHT)],
            [(ANNA, LEFT), (BEN, RIGHT)],
            [],
            [(ANNA, LEFT)],
        ],
    )
    assert near_identical(found) == ((0, 1),)


def test_faces_are_paired_by_their_place_not_by_their_order() -> None:
    found = pictures(
        [0, 0, 0],
        [[(ANNA, LEFT), (BEN, RIGHT)], [(BEN, RIGHT), (ANNA, LEFT)], [(BEN, LEFT), (ANNA, RIGHT)]],
    )
    assert near_identical(found) == ((0, 1),)


def test_two_faces_never_stand_for_one() -> None:
    beside = (0.12, 0.2, 0.32, 0.6)
    found = pictures([0, 0], [[(ANNA, LEFT), (ANNA, beside)], [(ANNA, LEFT), (ANNA, RIGHT)]])
    assert near_identical(found) == ()


def test_landscapes_are_one_when_taken_in_one_moment_or_nearly_equal_and_of_one_shape() -> None:
    loose = flipped(0, 1, 2, 3, 4, 5, 6)
    assert near_identical(pictures([0, loose], taken=[100, 109])) == ((0, 1),)
    assert near_identical(pictures([0, loose], taken=[100, 111])) == ()
    assert near_identical(pictures([0, loose])) == ()
    assert near_identical(pictures([0, 3])) == ((0, 1),)
    assert near_identical(pictures([0, 3], sizes=[(400, 300), (1600, 1200)])) == ((0, 1),)
    assert near_identical(pictures([0, 3], sizes=[(400, 300), (300, 400)])) == ()
    assert near_identical(pictures([0, 3]), PictureLikeness(bits=1)) == ()


def test_a_row_similar_to_one_of_a_group_is_in_it() -> None:
    steps = [0, 0b111, 0b111111, 2**63]
    assert near_identical(pictures(steps), PictureLikeness(bits=3)) == ((0, 1, 2, 3),)


@given(st.data())
def test_the_order_of_pictures_decides_nothing(data: st.DataObject) -> None:
    hashes = data.draw(families())
    people = [((), [(ANNA, LEFT)], [(BEN, LEFT)])[value % 3] for value in hashes]
    order = data.draw(st.permutations(range(len(hashes))))
    before = near_identical(pictures(hashes, people))
    after = near_identical(pictures([hashes[row] for row in order], [people[row] for row in order]))
    assert {frozenset(order[row] for row in group) for group in after} == set(map(frozenset, before))


def test_columns_that_do_not_fit_are_refused() -> None:
    whole = pictures([0, 1], [[(ANNA, LEFT)], []])
    with pytest.raises(ValueError, match="fit"):
        replace(whole, width=whole.width[:1])
    with pytest.raises(ValueError, match="fit"):
        replace(whole, starts=np.array([0, 1, 2]))

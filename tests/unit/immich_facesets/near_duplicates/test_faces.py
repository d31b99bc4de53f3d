"""Near-duplicate faces: copies of one photo count once, two photos of one person count twice."""

import numpy as np
import pytest
from faceset_builders import vectors
from hamming import hamming_distance
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from immich_facesets.near_duplicates.faces import DEFAULT_COPY_LIMITS, CopyFacts, CopyLimits, collapse, near_groups
from immich_facesets.near_duplicates.perceptual_hash import MIRRORED

DAYS = [f"{1990 + number // 336}-{1 + number // 28 % 12:02d}-{1 + number % 28:02d}" for number in range(5100)]


def facts(hashes: list[int], taken: list[str | None] | None = None) -> CopyFacts:
    """The looks of faces with these hashes, each of its own day unless dates are given."""
    return CopyFacts.of(hashes, taken if taken is not None else list(DAYS[: len(hashes)]))


def test_both_witnesses_must_agree() -> None:
    same = np.repeat(vectors(1), 2, axis=0)
    opposite = np.concatenate([vectors(1), -vectors(1)])
    assert near_groups(same, facts([0, 0b1111])) == ((0, 1),)
    assert near_groups(same, facts([0, 2**64 - 1])) == ((0,), (1,))
    assert near_groups(opposite, facts([0, 0])) == ((0,), (1,))


def test_the_limits_themselves_are_near_enough() -> None:
    angle = np.arccos(1 - 0.25)
    pair = np.array([[1, 0], [np.cos(angle), np.sin(angle)]], dtype=np.float32)
    gap = 1.0 - float(pair[0].astype(float) @ pair[1].astype(float))
    assert near_groups(pair, facts([0, 0b111]), CopyLimits(bits=3, distance=gap)) == ((0, 1),)
    assert near_groups(pair, facts([0, 0b1111]), CopyLimits(bits=3, distance=gap)) == ((0,), (1,))
    assert near_groups(pair, facts([0, 0b111]), CopyLimits(bits=3, distance=gap - 1e-9)) == ((0,), (1,))


@pytest.mark.parametrize(
    ("taken", "is_one"),
    [
        (("2020-05-01T10:00:00", "2020-05-01T10:00:09"), True),
        (("2020-05-01T10:00:00", "2020-05-01T10:00:11"), False),
        (("2020-05-01T10:00:00", "2020-05-01"), True),
        (("2020-05-01", "2020-05-01"), True),
        (("2020-05-01", "2020-05-02"), False),
        (("2020-05-01", "2020-05-01T23:59:59"), True),
        (("2020-05-01T10:00:00", None), True),
        ((None, None), True),
        (("no date", "2020-05-01"), True),
    ],
)
def test_vectors_that_near_decide_alone_where_the_dates_allow_one_moment(
    taken: tuple[str | None, str | None], is_one: bool
) -> None:
    def pair(distance: float) -> NDArray[np.float32]:
        angle = np.arccos(1 - distance)
        return np.array([[1, 0], [np.cos(angle), np.sin(angle)]], dtype=np.float32)

    other = facts([0, 2**64 - 1], list(taken))
    assert (len(near_groups(pair(0.049), other)) == 1) is is_one
    assert len(near_groups(pair(0.051), other)) == 2


def test_a_mirrored_copy_is_a_copy() -> None:
    same = np.repeat(vectors(1), 2, axis=0)
    assert near_groups(same, facts([0b1011, 0b1001 ^ int(MIRRORED)])) == ((0, 1),)


def test_a_burst_is_one_group_even_where_its_ends_differ() -> None:
    chain = [(1 << 6 * step) - 1 for step in range(6)]
    assert near_groups(np.repeat(vectors(1), 6, axis=0), facts(chain), CopyLimits(bits=6, distance=0.1)) == (
        tuple(range(6)),
    )


@st.composite
def crowds(draw: st.DrawFn) -> tuple[NDArray[np.float32], list[int]]:
    count = draw(st.integers(0, 24))
    seeds = draw(st.lists(st.integers(0, 5), min_size=count, max_size=count))
    noise = vectors(max(count, 1), spread=0.35, seed=draw(st.integers(0, 3)))[:count]
    bases = draw(st.lists(st.integers(0, 2**64 - 1), min_size=6, max_size=6))
    flips = draw(st.lists(st.integers(0, 63), min_size=count, max_size=count))
    return noise, [bases[seed] ^ (1 << flip) for seed, flip in zip(seeds, flips, strict=True)]


def plain_groups(rows: NDArray[np.float32], hashes: list[int], limits: CopyLimits) -> set[frozenset[int]]:
    """The definition, word by word: components of the pair relation."""
    groups = [{row} for row in range(len(hashes))]
    for one in range(len(hashes)):
        for other in range(one):
            distance = 1.0 - float((rows[one].astype(float) * rows[other].astype(float)).sum())
            bits = min(hamming_distance(hashes[one], hashes[other] ^ mirror) for mirror in (0, int(MIRRORED)))
            if distance <= limits.distance and bits <= limits.bits:
                first = next(group for group in groups if one in group)
                second = next(group for group in groups if other in group)
                if first is not second:
                    groups.remove(second)
                    first |= second
    return {frozenset(group) for group in groups}


@given(crowds(), st.randoms())
def test_groups_are_exact_and_ignore_the_order(crowd: tuple[NDArray[np.float32], list[int]], dice: object) -> None:
    rows, hashes = crowd
    groups = near_groups(rows, facts(hashes))
    assert {frozenset(group) for group in groups} == plain_groups(rows, hashes, DEFAULT_COPY_LIMITS)
    order = list(range(len(hashes)))
    dice.shuffle(order)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    shuffled = near_groups(rows[order], facts([hashes[row] for row in order], [DAYS[row] for row in order]))
    assert {frozenset(order[row] for row in group) for group in shuffled} == {frozenset(group) for group in groups}


def test_copies_far_apart_in_a_large_identity_are_found() -> None:
    dice = np.random.default_rng(1)
    rows = vectors(5000, spread=2.0)
    hashes = dice.integers(0, 2**63, size=5000).tolist()
    copies = [7, *range(2000, 2150), 2500, 4999]  # more pairs than are judged at once, in three blocks of rows
    late = [2600, 4500, 4900]  # all beyond the first block
    for first, *others in (copies, late):
        rows[others], hashes = rows[first], [hashes[first] if row in others else hashes[row] for row in range(5000)]
    groups = near_groups(rows, facts(hashes))
    assert [group for group in groups if len(group) > 1] == [tuple(copies), tuple(late)]
    assert len(groups) == 5000 - len(copies) - len(late) + 2


def test_the_first_in_order_stands_for_its_group_and_rows_without_a_place_never_do() -> None:
    groups = ((0, 1, 2), (3,), (4, 5))
    assert collapse(groups, {0: (7,), 1: (3,), 2: (9,), 3: (1,), 4: (0, 1), 5: (0, 0)}) == (1, 3, 5)
    assert collapse(groups, {0: (7,), 2: (9,), 5: (2,)}) == (0, 5)


def test_a_matrix_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="3 vectors, but 2 hashes"):
        near_groups(vectors(3), facts([0, 1]))

"""Matching of faces to identities by given distances."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from immich_facesets.grouping.matching import Candidates, assign, candidates, unambiguous


def pairs(*triples: tuple[int, int, float]) -> Candidates:
    ordered = sorted(triples, key=lambda triple: triple[2])
    return Candidates(
        np.array([row for row, _, _ in ordered]),
        np.array([number for _, number, _ in ordered]),
        np.array([gap for _, _, gap in ordered]),
    )


def joined(
    some: Candidates,
    pictures: list[int],
    *,
    occupied: set[tuple[int, int]] | None = None,
    repeated: tuple[int, ...] = (),
    cannot_link: frozenset[tuple[int, int]] = frozenset(),
    locked: frozenset[int] = frozenset(),
) -> tuple[dict[int, int], dict[int, int]]:
    may_repeat: NDArray[np.bool_] = np.isin(np.arange(len(pictures)), repeated)
    matches = assign(
        some,
        pictures=np.array(pictures),
        may_repeat=may_repeat,
        occupied=set() if occupied is None else occupied,
        cannot_link=cannot_link,
        locked=locked,
    )
    return {row: number for row, number, _ in matches.joins}, {row: number for row, number, _ in matches.waiting}


def test_the_distance_itself_is_still_within_reach() -> None:
    vectors = np.array([[1, 0], [0, 1]], dtype=np.float32)
    found = candidates(vectors, np.arange(2), vectors[:1], np.array([7]), 1.0)
    assert (found.rows.tolist(), found.numbers.tolist(), found.distances.tolist()) == ([0, 1], [7, 7], [0, 1])
    assert candidates(vectors, np.arange(2), vectors[:1], np.array([7]), 0.99).rows.tolist() == [0]


def test_without_identities_or_faces_there_are_no_joins() -> None:
    vectors = np.eye(2, dtype=np.float32)
    assert len(candidates(vectors, np.arange(2), vectors[:0], np.zeros(0, dtype=np.int64), 1).rows) == 0
    assert len(candidates(vectors, np.arange(0), vectors, np.arange(2), 1).rows) == 0


def test_a_face_joins_the_nearest() -> None:
    assert joined(pairs((0, 1, 0.3), (0, 2, 0.2)), [0]) == ({0: 2}, {})


def test_the_nearest_of_a_picture_joins_and_the_other_takes_its_second_choice() -> None:
    both = pairs((0, 1, 0.3), (1, 1, 0.2), (0, 2, 0.4))
    assert joined(both, [5, 5]) == ({1: 1, 0: 2}, {})
    assert joined(both, [5, 6]) == ({0: 1, 1: 1}, {})


def test_a_place_that_is_taken_stays_taken() -> None:
    assert joined(pairs((0, 1, 0.3)), [5], occupied={(1, 5)}) == ({}, {})


def test_a_picture_that_may_repeat_a_person_allows_several_joins() -> None:
    assert joined(pairs((0, 1, 0.3), (1, 1, 0.2)), [5, 5], occupied={(1, 5)}, repeated=(0, 1)) == ({0: 1, 1: 1}, {})


def test_what_a_decision_keeps_apart_does_not_join() -> None:
    assert joined(pairs((0, 1, 0.1), (0, 2, 0.2)), [0], cannot_link=frozenset({(0, 1)})) == ({0: 2}, {})


def test_a_face_of_a_locked_identity_waits_instead_of_joining_another() -> None:
    assert joined(pairs((0, 1, 0.1), (0, 2, 0.2)), [0], locked=frozenset({1})) == ({}, {0: 1})


def test_only_one_face_of_a_picture_waits_for_a_locked_identity() -> None:
    assert joined(pairs((0, 1, 0.1), (1, 1, 0.2), (1, 2, 0.3)), [0, 0], locked=frozenset({1})) == ({1: 2}, {0: 1})


def chosen(some: Candidates, limit: float = 0.45, margin: float = 0.1) -> list[tuple[int, int, float]]:
    found = unambiguous(some, limit, margin)
    return list(zip(found.rows.tolist(), found.numbers.tolist(), found.distances.tolist(), strict=True))


def test_a_face_near_one_identity_only_stands_out() -> None:
    assert chosen(pairs((0, 7, 0.3))) == [(0, 7, 0.3)]
    assert chosen(pairs((0, 7, 0.2), (0, 8, 0.4))) == [(0, 7, 0.2)]


def test_a_face_between_two_identities_does_not_unambiguous() -> None:
    assert chosen(pairs((0, 7, 0.3), (0, 8, 0.35))) == []
    assert chosen(pairs((0, 7, 0.3), (0, 8, 0.3))) == []


def test_an_identity_beyond_the_limit_is_not_joined_but_causes_ambiguity() -> None:
    assert chosen(pairs((0, 7, 0.46))) == []
    assert chosen(pairs((0, 7, 0.44), (0, 8, 0.5))) == []


def test_the_limit_and_the_margin_themselves_are_enough() -> None:
    assert chosen(pairs((0, 7, 0.25), (0, 8, 0.5)), limit=0.25, margin=0.25) == [(0, 7, 0.25)]


def test_only_the_next_best_makes_doubt_and_only_about_its_own_face() -> None:
    some = pairs((0, 7, 0.1), (0, 8, 0.3), (0, 9, 0.31), (1, 8, 0.11), (2, 7, 0.2), (2, 9, 0.22))
    assert chosen(some) == [(0, 7, 0.1), (1, 8, 0.11)]


def test_no_candidates_give_no_unambiguous_ones() -> None:
    nobody = unambiguous(Candidates(np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.int64), np.zeros(0)), 0.45, 0.1)
    assert [len(column) for column in (nobody.rows, nobody.numbers, nobody.distances)] == [0, 0, 0]


@pytest.mark.parametrize("margin", [0.0, 0.1])
@given(triples=st.dictionaries(st.tuples(st.integers(0, 4), st.integers(0, 4)), st.floats(0, 1)))
def test_faces_stand_out_nearest_first_as_if_each_was_asked_alone(
    margin: float, triples: dict[tuple[int, int], float]
) -> None:
    expected = []
    for row in range(5):
        near = sorted((distance, number) for (one, number), distance in triples.items() if one == row)
        if near and near[0][0] <= 0.45 and (len(near) == 1 or near[1][0] - near[0][0] >= margin):
            expected.append((row, near[0][0]))
    found = chosen(pairs(*((row, number, gap) for (row, number), gap in triples.items())), margin=margin)
    assert sorted((row, gap) for row, _, gap in found) == expected
    assert [gap for _, _, gap in found] == sorted(gap for _, _, gap in found)
    assert all(triples[row, number] == gap for row, number, gap in found)

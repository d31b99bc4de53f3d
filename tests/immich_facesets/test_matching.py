"""Matching: who joins whom, given distances."""

import numpy as np
from numpy.typing import NDArray

from immich_facesets.matching import Candidates, assign, candidates


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
    taken: set[tuple[int, int]] | None = None,
    opened: tuple[int, ...] = (),
    barred: frozenset[tuple[int, int]] = frozenset(),
    locked: frozenset[int] = frozenset(),
) -> tuple[dict[int, int], dict[int, int]]:
    is_open: NDArray[np.bool_] = np.isin(np.arange(len(pictures)), opened)
    matches = assign(
        some,
        pictures=np.array(pictures),
        is_open=is_open,
        taken=set() if taken is None else taken,
        barred=barred,
        locked=locked,
    )
    return {row: number for row, number, _ in matches.joins}, {row: number for row, number, _ in matches.waiting}


def test_the_distance_itself_is_still_within_reach() -> None:
    vectors = np.array([[1, 0], [0, 1]], dtype=np.float32)
    found = candidates(vectors, np.arange(2), vectors[:1], np.array([7]), 1.0)
    assert (found.rows.tolist(), found.numbers.tolist(), found.gaps.tolist()) == ([0, 1], [7, 7], [0, 1])
    assert candidates(vectors, np.arange(2), vectors[:1], np.array([7]), 0.99).rows.tolist() == [0]


def test_without_identities_or_faces_there_is_nobody_to_join() -> None:
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
    assert joined(pairs((0, 1, 0.3)), [5], taken={(1, 5)}) == ({}, {})


def test_an_open_picture_has_room_for_all() -> None:
    assert joined(pairs((0, 1, 0.3), (1, 1, 0.2)), [5, 5], taken={(1, 5)}, opened=(0, 1)) == ({0: 1, 1: 1}, {})


def test_what_a_decision_keeps_apart_does_not_join() -> None:
    assert joined(pairs((0, 1, 0.1), (0, 2, 0.2)), [0], barred=frozenset({(0, 1)})) == ({0: 2}, {})


def test_a_face_of_a_locked_identity_waits_instead_of_joining_another() -> None:
    assert joined(pairs((0, 1, 0.1), (0, 2, 0.2)), [0], locked=frozenset({1})) == ({}, {0: 1})


def test_only_one_face_of_a_picture_waits_for_a_locked_identity() -> None:
    assert joined(pairs((0, 1, 0.1), (1, 1, 0.2), (1, 2, 0.3)), [0, 0], locked=frozenset({1})) == ({1: 2}, {0: 1})

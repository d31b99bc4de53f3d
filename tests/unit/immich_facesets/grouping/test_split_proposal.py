"""Proposals for a split: who is parted, who is not, and what stays unclear."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixtures import Vectors, people, table_of, unit

from immich_facesets.grouping.face_table import FaceTable
from immich_facesets.grouping.plan import GroupingRules
from immich_facesets.grouping.split_proposal import SplitProposal, propose_split
from immich_facesets.spaces import OperatingPoints

POINTS, RULES = OperatingPoints(), GroupingRules()
YEAR = 365.25


def around(rng: np.random.Generator, centres: Vectors, sizes: list[int], spread: float = 0.6) -> Vectors:
    """Faces around these centres, in the order of the centres."""
    noise = rng.normal(size=(sum(sizes), centres.shape[1])) * spread / np.sqrt(centres.shape[1])
    return unit(np.repeat(centres, sizes, axis=0) + noise)


def proposed(table: FaceTable) -> SplitProposal:
    return propose_split(table, POINTS, RULES)


@pytest.mark.parametrize("taken", [np.nan, 40 * YEAR])
def test_two_strangers_are_two_parts_and_no_face_is_lost(taken: float) -> None:
    vectors, _ = people(np.random.default_rng(1), [12, 7], 0.6, 256)
    found = proposed(table_of(vectors, taken=taken))
    assert found.parts == (tuple(range(1, 13)), tuple(range(13, 20)))
    assert found.unclear == ()
    assert np.allclose(found.distances, 1.0, atol=0.2)


@pytest.mark.parametrize("taken", [np.nan, 40 * YEAR])
def test_one_person_is_one_part(taken: float) -> None:
    vectors, _ = people(np.random.default_rng(2), [30], 0.7, 256)
    assert proposed(table_of(vectors, taken=taken)) == SplitProposal((tuple(range(1, 31)),), (0.0,), ())


def test_relatives_are_parted_where_their_dates_show_them_in_the_same_years() -> None:
    rng = np.random.default_rng(3)
    one, other = unit(rng.normal(size=(2, 256)))
    brother = unit((0.5 * one + np.sqrt(0.75) * (other - (other @ one) * one))[None])[0]
    vectors = around(rng, np.stack([one, brother]), [20, 20])
    years = np.tile(np.arange(20) // 4, 2) * YEAR
    found = proposed(table_of(vectors, taken=(years + 10_000).astype(np.float64)))
    assert found.parts == (tuple(range(1, 21)), tuple(range(21, 41)))
    assert len(proposed(table_of(vectors)).parts) == 1, "without dates it may be one person at two ages"


def test_a_child_and_the_grown_person_are_not_parted_by_their_looks_but_unclear() -> None:
    rng = np.random.default_rng(4)
    vectors = around(rng, unit(rng.normal(size=(2, 256))), [15, 15])
    apart = np.repeat([10_000.0, 10_000.0 + 25 * YEAR], 15)
    found = proposed(table_of(vectors, taken=apart))
    assert {found.parts[0], found.unclear} == {tuple(range(1, 16)), tuple(range(16, 31))}


def test_faces_that_show_too_little_for_a_group_are_left_as_they_are() -> None:
    vectors, _ = people(np.random.default_rng(7), [5, 5], 0.6, 256)
    found = proposed(table_of(vectors, face_short=20.0))
    assert found == SplitProposal((tuple(range(1, 11)),), (0.0,), ())


def test_a_group_of_other_years_that_could_be_either_person_stays_unclear() -> None:
    rng = np.random.default_rng(5)
    one, other, own = np.linalg.qr(rng.normal(size=(256, 3)))[0].T
    middle = 0.4 * one + 0.4 * other + np.sqrt(0.68) * own
    vectors = around(rng, unit(np.stack([one, other, middle])), [15, 15, 6], 0.4)
    taken = np.repeat([10_000.0, 10_000.0, 10_000.0 + 20 * YEAR], [15, 15, 6])
    found = proposed(table_of(vectors, taken=taken))
    assert found.parts == (tuple(range(1, 16)), tuple(range(16, 31)))
    assert found.unclear == tuple(range(31, 37))


def test_of_a_large_identity_some_faces_are_grouped_and_no_face_is_lost() -> None:
    vectors, _ = people(np.random.default_rng(8), [70, 30], 0.6, 256)
    found = propose_split(table_of(vectors), POINTS, RULES, most=40)
    assert (found.parts, found.unclear) == ((tuple(range(1, 71)), tuple(range(71, 101))), ())


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 12), min_size=1, max_size=4))
@settings(max_examples=15)
def test_each_face_is_in_one_place_whatever_the_order_of_the_rows(seed: int, sizes: list[int]) -> None:
    rng = np.random.default_rng(seed)
    vectors, _ = people(rng, sizes, 0.8, 128)
    table = table_of(vectors, taken=rng.choice([np.nan, 10_000.0, 10_000.0 + 9 * YEAR], size=len(vectors)))
    found = proposed(table)
    assert sorted([face for part in found.parts for face in part] + list(found.unclear)) == table.face_ids.tolist()
    assert len(found.parts) == len(found.distances) >= 1
    assert [len(part) for part in found.parts] == sorted((len(part) for part in found.parts), reverse=True)
    assert proposed(table.rows(rng.permutation(len(table)))) == found


def test_faces_of_one_picture_may_be_together_where_a_decision_allows_it() -> None:
    vectors, _ = people(np.random.default_rng(6), [10], 0.5, 256)
    mirrored = replace(table_of(vectors), pictures=np.arange(10) // 2)
    together = propose_split(mirrored, POINTS, RULES, together=mirrored.face_ids.tolist())
    assert together.parts == (tuple(range(1, 11)),)

"""Two clusters with faces of the same years: one person, or relatives."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixtures import Library, table_of, unit
from numpy.typing import NDArray

from immich_facesets.grouping.contemporaries import APART, Contemporaries
from immich_facesets.grouping.plan import GroupingRules
from immich_facesets.spaces import operating_points

POINTS = operating_points("w600k_mbf")
DIMENSION, GENUINE = 512, 0.593
"""The mean cosine of two faces of one person is that of a MobileFaceNet on LFW."""


def centres(likeness: float) -> NDArray[np.floating]:
    """Two directions of that cosine."""
    one, other = np.eye(DIMENSION)[:2]
    return np.stack([one, likeness * one + np.sqrt(1 - likeness**2) * other])


def faces_of(centre: NDArray[np.floating], count: int, seed: int) -> NDArray[np.floating]:
    noise = unit(np.random.default_rng(seed).normal(size=(count, DIMENSION)))
    return unit(np.sqrt(GENUINE) * centre + np.sqrt(1 - GENUINE) * noise)


def days(years: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(years * 365.25 + 10.0, dtype=np.float64)


def library(likeness: float, years: list[NDArray[np.floating]]) -> Library:
    """Two looks of that likeness, each in as many pictures of one face as there are dates."""
    looks = centres(likeness)
    vectors = np.concatenate(
        [faces_of(look, len(dates), seed) for seed, (look, dates) in enumerate(zip(looks, years, strict=True))]
    )
    taken = days(np.concatenate(years))
    return Library(table_of(vectors, taken=taken), rules=GroupingRules(min_faces=6), points=POINTS)


def identities(known: Library) -> set[int]:
    known.group()
    return set(known.memberships.values())


SAME_YEARS: list[NDArray[np.floating]] = [np.arange(30) % 3 + 40.0, np.arange(24) % 3 + 40.0]


@pytest.mark.parametrize("likeness", [0.5, 0.6, 0.65])
def test_relatives_of_the_same_years_are_two_identities(likeness: float) -> None:
    known = library(likeness, SAME_YEARS)
    assert len(identities(known)) == 2
    assert {frozenset(part) for part in known.parts()} == {frozenset(range(1, 31)), frozenset(range(31, 55))}


def test_one_person_whose_look_changed_over_the_years_is_one_identity() -> None:
    later: list[NDArray[np.floating]] = [np.arange(30) % 3 + 40.0, np.arange(24) % 3 + 43.0]
    assert len(identities(library(0.65, later))) == 1


def test_relatives_that_join_in_a_later_sync_are_two_identities() -> None:
    whole = library(0.6, SAME_YEARS)
    first = Library(whole.table.rows(np.arange(30)), rules=whole.rules, points=POINTS)
    first.group()
    first.table = whole.table
    assert len(identities(first)) == 2


def test_relatives_kept_apart_are_suggested_as_one_person() -> None:
    known = library(0.6, SAME_YEARS)
    known.group()
    (pair,) = known.plan().report.suggested_merges
    assert {pair.identity, pair.other} == set(known.memberships.values())


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 12))
def test_pairs_of_one_year_are_compared_and_no_others(seed: int, ours: int, theirs: int) -> None:
    dice = np.random.default_rng(seed)
    vectors = unit(dice.normal(size=(ours + theirs, 16)) + 1.0).astype(np.float32)
    years = dice.integers(40, 43, ours + theirs).astype(float)
    years[dice.random(len(years)) < 0.2] = np.nan
    known = Contemporaries(table_of(vectors, taken=days(years)), near=0.0, cut=0.65)
    rows = np.arange(ours), np.arange(ours, ours + theirs)
    one, other = known.year_sums(rows[0]), known.year_sums(rows[1])
    distances = 1.0 - vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    inside = [
        [distances[pair] for pair in combinations(part.tolist(), 2) if years[pair[0]] == years[pair[1]]]
        for part in rows
    ]
    between = [
        distances[pair] for pair in product(*(part.tolist() for part in rows)) if years[pair[0]] == years[pair[1]]
    ]
    for found, expected in zip((one, other), inside, strict=True):
        assert found.pairs == len(expected)
        assert found.within == pytest.approx(np.mean(expected) if expected else np.nan, nan_ok=True)
    whole, both = known.year_sums(np.arange(ours + theirs)), one.merged(other)
    assert (both.years.tolist(), both.counts.tolist()) == (whole.years.tolist(), whole.counts.tolist())
    assert both.sums == pytest.approx(whole.sums)
    assert (both.pairs, both.total) == pytest.approx((whole.pairs, whole.total))
    tells = len(between) >= 9 and min(map(len, inside)) >= 3
    excess = np.mean(between) - (np.mean(inside[0]) + np.mean(inside[1])) / 2 if tells else 0.0
    assert known.are_two_people(one, other) == (tells and bool(excess > APART * 0.65))


def test_a_burst_counts_as_one_moment() -> None:
    face, other = faces_of(centres(0.0)[0], 2, 1)
    vectors = np.stack([face, face, face, other])
    found = Contemporaries(table_of(vectors, taken=days(np.full(4, 40.0))), near=0.05, cut=0.65).year_sums(np.arange(4))
    assert (found.counts.tolist(), found.pairs) == ([2.0], 1.0)
    assert found.within == pytest.approx(1.0 - float(face @ other), abs=1e-6)

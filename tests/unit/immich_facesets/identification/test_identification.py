"""Identification: exemplars, exact search, and confidences that add up."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixtures import unit
from numpy.typing import NDArray

from immich_facesets.identification.answers import identify
from immich_facesets.identification.bank import ExemplarBank
from immich_facesets.identification.confidence import AT_CUT, confidences
from immich_facesets.identification.exemplars import MOST_CANDIDATES, Members, choose_exemplars

CLUSTER, OUTLIER = 0.65, 0.6


def members(vectors: NDArray[np.float32], **columns: Any) -> Members:
    n = len(vectors)
    whole: dict[str, Any] = {
        "periods": np.zeros(n, np.int64),
        "is_confirmed": np.zeros(n, np.bool_),
        "is_clear": np.ones(n, np.bool_),
    }
    return Members(vectors, **whole | columns)


def around(*directions: int, n: int, noise: float = 0.1, seed: int = 0, dimension: int = 32) -> NDArray[np.float32]:
    """``n`` faces around each of some axes."""
    rng = np.random.default_rng(seed)
    centres = np.repeat(np.eye(dimension)[list(directions)], n, axis=0)
    return unit(centres + noise * rng.normal(size=centres.shape))


@st.composite
def galleries(draw: st.DrawFn) -> tuple[dict[int, NDArray[np.float32]], NDArray[np.float32]]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sizes = draw(st.lists(st.integers(1, 6), max_size=12))
    numbers = draw(st.permutations(range(1, 40)))[: len(sizes)]
    bank = {number: unit(rng.normal(size=(size, 16))) for number, size in zip(numbers, sizes, strict=True)}
    return bank, unit(rng.normal(size=(draw(st.integers(0, 4)), 16)))


@given(galleries())
@settings(max_examples=60)
def test_the_search_finds_what_a_look_at_every_exemplar_finds(
    scene: tuple[dict[int, NDArray[np.float32]], NDArray[np.float32]],
) -> None:
    gallery, faces = scene
    bank = ExemplarBank.of(gallery, 16)
    found = bank.likenesses(faces)
    answers = identify(bank, faces, cluster=CLUSTER, limit=50)
    for row, face in enumerate(faces):
        expected = {}
        for number, exemplars in gallery.items():
            mean = exemplars.astype(np.float64).mean(axis=0)
            expected[number] = (max(float(face @ one) for one in exemplars) + face @ mean / np.linalg.norm(mean)) / 2
        assert found[row] == pytest.approx([expected[number] for number in sorted(gallery)], abs=1e-5)
        assert {one.number for one in answers[row].candidates} == set(gallery)
        shares = [one.confidence for one in answers[row].candidates]
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) + answers[row].nobody == pytest.approx(1)


@given(st.integers(1, 60), st.integers(1, 10), st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_each_period_has_some_exemplars_and_never_too_many(n: int, most: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    of = members(
        unit(rng.normal(size=(n, 8))),
        periods=rng.integers(-1, 3, n),
        is_confirmed=rng.random(n) < 0.3,
        is_clear=rng.random(n) < 0.5,
    )
    rows = choose_exemplars(of, OUTLIER, most)
    assert sorted(set(rows.tolist())) == rows.tolist()
    for period in np.unique(of.periods):
        here = rows[of.periods[rows] == period]
        assert 1 <= len(here) <= most
        confirmed = np.flatnonzero((of.periods == period) & of.is_confirmed)
        taken = int(of.is_confirmed[here].sum())
        assert taken == len(here) or taken >= min(len(confirmed), 1)


def test_confirmed_faces_come_first_however_unlike_they_are() -> None:
    vectors = np.concatenate([around(0, n=30), around(5, n=2, seed=1)])
    rows = choose_exemplars(members(vectors, is_confirmed=np.arange(32) >= 30), OUTLIER, 3)
    assert {30, 31} <= set(rows.tolist())


def test_exemplars_cover_each_look_of_a_person() -> None:
    looks = np.concatenate([around(0, n=50), around(1, n=5, seed=1), around(2, n=3, seed=2)])
    rows = choose_exemplars(members(looks), 2.0, 3)
    assert {0 if row < 50 else 1 if row < 55 else 2 for row in rows.tolist()} == {0, 1, 2}


def test_poor_faces_and_wrong_members_are_no_exemplars() -> None:
    vectors = np.concatenate([around(0, n=20, noise=0.05), around(7, n=1)])
    is_clear = np.arange(21) >= 5
    rows = choose_exemplars(members(vectors, is_clear=is_clear), OUTLIER, 8)
    assert set(rows.tolist()) <= set(range(5, 20))


def test_a_person_of_poor_faces_alone_has_exemplars() -> None:
    assert len(choose_exemplars(members(around(0, n=3), is_clear=np.zeros(3, np.bool_)), OUTLIER)) > 0


def test_copies_of_one_face_are_one_exemplar() -> None:
    assert len(choose_exemplars(members(np.repeat(around(0, n=1), 40, axis=0)), OUTLIER)) == 1


def test_a_person_of_many_faces_costs_no_square_of_them() -> None:
    vectors = around(0, n=4 * MOST_CANDIDATES)
    rows = choose_exemplars(members(vectors), OUTLIER)
    assert 0 < len(rows) <= 8


def test_a_likeness_is_worth_less_among_more_people_and_more_exemplars() -> None:
    few, _ = confidences(np.array([[0.4, 0.1]]), np.array([1, 1]), CLUSTER)
    many, _ = confidences(np.array([[0.4, *[0.1] * 999]]), np.ones(1000, dtype=np.int64), CLUSTER)
    long, _ = confidences(np.array([[0.4, 0.1]]), np.array([40, 1]), CLUSTER)
    assert few[0, 0] > many[0, 0]
    assert few[0, 0] > long[0, 0]


def test_the_only_person_at_the_cut_has_the_fitted_odds() -> None:
    shares, nobody = confidences(np.array([[1 - CLUSTER]]), np.array([1]), CLUSTER)
    assert np.log(shares / nobody)[0, 0] == pytest.approx(AT_CUT, abs=0.1)


def test_without_any_person_everybody_is_nobody() -> None:
    (found,) = identify(ExemplarBank.of({}, 8), unit(np.ones((1, 8))), cluster=CLUSTER, limit=5)
    assert (found.verdict, found.candidates, found.nobody) == ("nobody", (), 1.0)


def test_a_face_between_two_people_is_neither() -> None:
    bank = ExemplarBank.of({3: around(0, n=1, noise=0), 8: around(1, n=1, noise=0)}, 32)
    (found,) = identify(bank, unit(np.eye(32)[[0]] + np.eye(32)[[1]]), cluster=CLUSTER, limit=5)
    assert found.verdict == "unsure"
    assert [one.number for one in found.candidates] == [3, 8]


def test_a_stranger_who_was_ignored_competes_and_is_not_named() -> None:
    bank = ExemplarBank.of({3: around(0, n=2), 8: around(1, n=2)}, 32)
    face = around(1, n=1, seed=4)
    assert identify(bank, face, cluster=CLUSTER, limit=5)[0].candidates[0].number == 8
    (found,) = identify(bank, face, cluster=CLUSTER, limit=5, unnamed={8})
    assert found.verdict == "nobody"
    assert [one.number for one in found.candidates] == [3]

"""Assignment of undated faces to eras, and its confidence."""

import numpy as np
import pytest
from mixtures import unit

from immich_facesets.eras.undated import WITNESSES, confidence, nearest_era, nearest_era_leave_one_out


def sure(margin: float, of_dated: list[float], is_right: list[bool], scale: float = 1.0) -> float:
    return float(confidence(np.array([margin]), np.array(of_dated), np.array(is_right, dtype=np.bool_), scale)[0])


def test_a_clearer_margin_is_surer_and_none_says_little() -> None:
    low, middle, high = (sure(margin, [], []) for margin in (0.0, 0.03, 0.1))
    assert 0.5 < low < 0.6
    assert low < middle < 0.9
    assert 0.95 < high < 1


def test_a_space_in_which_faces_are_farther_apart_needs_larger_margins() -> None:
    assert sure(0.1, [], [], scale=2.0) == pytest.approx(sure(0.05, [], []))


def test_a_hardly_changing_person_is_placed_by_looks_no_surer_than_the_dated_faces_were() -> None:
    half = [place % 2 == 0 for place in range(60)]
    assert sure(0.2, [0.2] * 60, half) == pytest.approx(0.5)
    assert sure(0.2, [0.2] * 60, [True] * 60) == pytest.approx((WITNESSES + 1) / (WITNESSES + 2))


def test_a_few_dated_faces_prove_little() -> None:
    assert sure(0.2, [0.2] * 3, [True] * 3) == pytest.approx(0.8)


def test_only_faces_of_a_like_margin_are_witnesses() -> None:
    margins = [0.01] * 40 + [0.2] * 40
    is_right = [False] * 40 + [True] * 40
    assert sure(0.2, margins, is_right) > 0.95
    assert sure(0.02, margins, is_right) < 0.05


def test_the_nearest_era_and_by_how_much() -> None:
    centroids = np.eye(3, dtype=np.float32)
    place, gap, margin = nearest_era(unit(np.array([[2.0, 1.0, 0.0], [0.0, 0.0, 1.0]])), centroids)
    assert place.tolist() == [0, 2]
    assert gap[1] == pytest.approx(0)
    assert margin[0] == pytest.approx(1 / np.sqrt(5), abs=1e-6)


def test_a_founder_does_not_vouch_for_itself() -> None:
    vectors = unit(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.1], [0.0, 1.0, 0.2]]))
    sets = [np.array([0, 1]), np.array([2, 3])]
    centroids = unit(np.stack([vectors[rows].mean(axis=0) for rows in sets]))
    place, gap, _ = nearest_era_leave_one_out(vectors, centroids, sets)
    assert place[1] == 1, "without the face itself its era consists of the first face"
    assert gap[0] == pytest.approx(1.0)

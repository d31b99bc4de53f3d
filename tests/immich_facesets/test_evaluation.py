"""The measures of a grouping, against examples worked out by hand."""

import numpy as np
import pytest

from immich_facesets.evaluation import bcubed, pair_distances, pairwise, tar_at_far


def test_the_truth_scores_perfectly_under_any_names() -> None:
    for measure in (bcubed, pairwise):
        score = measure(["a", "a", "b", "c"], [5, 5, 9, 1])
        assert (score.precision, score.recall, score.f) == (1.0, 1.0, 1.0)


def test_one_heap_is_complete_but_not_pure() -> None:
    score = bcubed([0, 0, 0, 1], [0, 0, 0, 0])
    assert score.precision == pytest.approx((3 * 3 / 4 + 1 / 4) / 4)
    assert score.recall == 1.0
    pairs = pairwise([0, 0, 0, 1], [0, 0, 0, 0])
    assert (pairs.precision, pairs.recall) == (0.5, 1.0)
    assert pairs.f == pytest.approx(2 / 3)


def test_faces_left_alone_are_pure_but_not_complete() -> None:
    score = bcubed([0, 0, 1, 1], [0, 1, 2, 3])
    assert (score.precision, score.recall) == (1.0, 0.5)
    pairs = pairwise([0, 0, 1, 1], [0, 1, 2, 3])
    assert (pairs.precision, pairs.recall, pairs.f) == (1.0, 0.0, 0.0)


def test_no_faces_are_grouped_perfectly() -> None:
    assert bcubed([], []).f == pairwise([], []).f == 1.0


def test_lists_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="equal length"):
        bcubed([1, 2], [1])


def test_verification_at_a_false_accept_rate() -> None:
    same, different = np.array([0.1, 0.2, 0.3, 0.6]), np.array([0.5, 0.7, 0.8, 0.9])
    strict = tar_at_far(same, different, 0.0)
    assert (strict.tar, strict.far, strict.distance) == (0.75, 0.0, 0.5)
    loose = tar_at_far(same, different, 0.25)
    assert (loose.tar, loose.far, loose.distance) == (1.0, 0.25, 0.7)
    assert tar_at_far(same, different, 1.0).tar == 1.0


def test_verification_needs_both_kinds_of_pairs() -> None:
    with pytest.raises(ValueError, match="both kinds"):
        tar_at_far(np.array([0.1]), np.zeros(0), 0.1)


def test_pairs_are_told_apart_by_their_labels() -> None:
    vectors = np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32)
    same, different = pair_distances(vectors, ["a", "a", "b"])
    assert (same.tolist(), different.tolist()) == ([0.0], [1.0, 1.0])

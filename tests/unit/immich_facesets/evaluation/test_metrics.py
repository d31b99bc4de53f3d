"""Accuracy metrics of a grouping, against examples computed by hand."""

import numpy as np
import pytest

from immich_facesets.evaluation.metrics import (
    bcubed,
    calibration,
    cluster_count,
    is_of_owner,
    pair_distances,
    pair_histogram,
    pairwise,
    strangers_in_sets,
    tar_at_far,
)


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


def test_faces_alone_are_clusters_too() -> None:
    assert cluster_count([4, 4, -1, -2]) == 3
    assert cluster_count([]) == 0


def test_a_cluster_belongs_to_whom_it_shows_most() -> None:
    assert is_of_owner(["a", "a", "b", "b", "c"], [1, 1, 1, 2, 2]).tolist() == [True, True, False, True, False]
    assert is_of_owner([], []).tolist() == []


def test_strangers_count_in_large_sets_only() -> None:
    true = ["a", "a", "a", "b", "c", "d"]
    pred = [1, 1, 1, 1, 2, 2]
    pictures = [10, 11, 12, 13, 14, 15]
    known = np.ones(6, dtype=bool)
    found = strangers_in_sets(true, pred, pictures, known, 4)
    assert (found.faces, found.foreign, found.per_thousand) == (4, 1, 250.0)
    assert strangers_in_sets(true, pred, [10, 10, 12, 13, 14, 15], known, 4).faces == 0, "pictures, not faces"
    assert strangers_in_sets(true, pred, pictures, known, 5).per_thousand == 0.0


def test_faces_of_unknown_people_make_a_set_larger_and_are_not_judged() -> None:
    known = np.array([True, True, False, False])
    found = strangers_in_sets(["a", "b", "", ""], [1, 1, 1, 1], [1, 2, 3, 4], known, 4)
    assert (found.faces, found.foreign) == (2, 1)
    assert strangers_in_sets(["", ""], [1, 1], [1, 2], np.zeros(2, dtype=bool), 2).faces == 0


def test_confidences_are_held_against_what_is_right() -> None:
    right = np.array([True, True, True, False, True, False])
    sure = np.array([0.995, 1.0, 0.99, 0.96, 0.95, np.nan])
    found = calibration(right, sure)
    assert [(one.low, one.high, one.faces, one.right) for one in found] == [(0.95, 0.98, 2, 0.5), (0.99, 1.0, 3, 1.0)]
    assert found[1].said == pytest.approx((0.995 + 1 + 0.99) / 3)


def test_who_says_nothing_promises_nothing() -> None:
    assert calibration(np.array([True]), np.array([np.nan])) == ()
    assert calibration(np.zeros(0, dtype=bool), np.zeros(0)) == ()


def test_a_histogram_holds_every_pair_once_however_many_there_are() -> None:
    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(2100, 6)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels, edges = rng.integers(40, size=2100), np.linspace(0.2, 1.4, 13)
    same, different = pair_histogram(vectors, labels, edges)
    for counts, gaps in zip((same, different), pair_distances(vectors, labels), strict=True):
        assert counts.sum() == len(gaps)
        inner = np.histogram(gaps, edges)[0][1:-1]
        assert np.abs(counts[1:-1] - inner).max() <= 2, "but for rounding at the edges"

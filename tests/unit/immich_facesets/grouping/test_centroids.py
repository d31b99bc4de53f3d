"""Centroids, bursts, bystanders and people."""

from dataclasses import replace

import numpy as np
import pytest
from mixtures import people, table_of, unit

from immich_facesets.faces import Box, Face, Gate, Measures
from immich_facesets.grouping.centroids import Centroids, burst_weights, cosine_distances, without_outliers
from immich_facesets.grouping.identities import People


def centroids_of(vectors: np.ndarray, good: list[bool] | None = None, near: float = 0.05) -> Centroids:
    is_good = np.ones(len(vectors), dtype=np.bool_) if good is None else np.array(good)
    return Centroids(vectors, is_good, near)


def test_a_centroid_is_the_mean_direction_of_its_good_faces() -> None:
    vectors = np.eye(3, dtype=np.float32)
    rows = np.arange(3)
    assert centroids_of(vectors).of(rows) == pytest.approx(np.full(3, 3**-0.5))
    assert centroids_of(vectors, [True, True, False]).of(rows) == pytest.approx([2**-0.5, 2**-0.5, 0])


def test_where_no_face_is_good_all_of_them_count() -> None:
    vectors = np.eye(2, dtype=np.float32)
    assert centroids_of(vectors, [False, False]).of(np.arange(2)) == pytest.approx([2**-0.5, 2**-0.5])


def test_a_burst_weighs_as_much_as_one_picture() -> None:
    vectors = unit(np.array([[1, 0, 0], [1, 0.01, 0], [1, 0, 0.01], [0, 1, 0]]))
    assert burst_weights(vectors, 0.05) == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1])
    assert centroids_of(vectors).of(np.arange(4)) == pytest.approx([2**-0.5, 2**-0.5, 0], abs=0.01)


def test_opposite_faces_have_some_centre() -> None:
    vectors = np.array([[1, 0], [-1, 0]], dtype=np.float32)
    assert np.linalg.norm(centroids_of(vectors).of(np.arange(2))) == pytest.approx(1)


def test_distances_are_those_of_directions() -> None:
    one = np.array([[1, 0]], dtype=np.float32)
    assert cosine_distances(one, np.array([[1, 0], [0, 1], [-1, 0]], dtype=np.float32)).tolist() == [[0, 1, 2]]


def test_two_passes_find_the_bystander_whom_the_first_centre_still_covers() -> None:
    """Two strangers drag the first centre to 42 degrees; once they are gone, it lies at 14, far from the one at 60."""
    angles = np.deg2rad([0, 0, 0, 60, 100, 100])
    vectors = unit(np.stack([np.cos(angles), np.sin(angles)], axis=1))
    rows = np.arange(6)
    centroids = centroids_of(vectors, near=0)
    assert without_outliers(rows, centroids, 0.4, 0.4).tolist() == [0, 1, 2, 3]
    assert without_outliers(rows, centroids, 0.4, 0.25).tolist() == [0, 1, 2]
    assert without_outliers(rows, centroids, 0.1, 0.25).tolist() == [3]


def test_nobody_is_left_of_nobody() -> None:
    vectors = np.eye(2, dtype=np.float32)
    nobody = np.zeros(0, dtype=np.intp)
    assert len(without_outliers(nobody, centroids_of(vectors), 0.5, 0.4)) == 0


def test_columns_of_different_length_are_refused() -> None:
    table = table_of(np.eye(2))
    with pytest.raises(ValueError, match="equal length"):
        replace(table, vectors=table.vectors[:1])


def test_the_gate_of_a_table_is_the_gate_of_a_face() -> None:
    gate = Gate(90, 40, 0.6)
    for short, blur, score in [(90, 40, 0.6), (89.9, 40, 0.6), (90, 39.9, 0.6), (90, 40, 0.59), (500, 500, 1)]:
        measures = Measures(blur=blur, blur_size=112, brightness=0, contrast=0, yaw=0, pitch=0, roll=0)
        face = Face(1, "", Box(0, 0, short, 999), ((0, 0),) * 5, score, measures)
        table = table_of(np.ones((1, 2)), face_short=short, blur=blur, det_score=score)
        assert table.admitted(gate).tolist() == [gate.admits(face)]


def test_the_order_of_content_is_free_of_ids() -> None:
    vectors, _ = people(np.random.default_rng(1), [5], 1.0)
    straight = table_of(vectors).in_order_of_content()
    turned = table_of(vectors[::-1]).in_order_of_content()
    assert (straight.vectors == turned.vectors).all()
    assert (straight.face_ids == 6 - turned.face_ids).all()


def test_people_of_one_source_tell_identities_apart() -> None:
    someone = People({1: frozenset({("anna", "a")}), 2: frozenset({("anna", "b"), ("berta", "x")}), 3: frozenset()})
    assert someone.conflict(1, 2)
    assert not someone.conflict(1, 3)
    assert someone.has_other(1, ("anna", "c"))
    assert not someone.has_other(1, ("anna", "a"))
    assert not someone.has_other(1, ("berta", "x"))
    someone.detach({1})
    assert someone.of(1) == frozenset()

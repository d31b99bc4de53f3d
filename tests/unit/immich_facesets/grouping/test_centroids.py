"""Centroids: good faces count, a burst counts once, and outliers are left out."""

import numpy as np
import pytest
from mixtures import unit

from immich_facesets.grouping.centroids import Centroids, burst_weights, cosine_distances, without_outliers


def centroids_of(vectors: np.ndarray, clear: list[bool] | None = None, near: float = 0.05) -> Centroids:
    is_clear = np.ones(len(vectors), dtype=np.bool_) if clear is None else np.array(clear)
    return Centroids(vectors, is_clear, near)


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
    """Two outliers move the first centre to 42 degrees; without them it is at 14, far from the one at 60."""
    angles = np.deg2rad([0, 0, 0, 60, 100, 100])
    vectors = unit(np.stack([np.cos(angles), np.sin(angles)], axis=1))
    rows = np.arange(6)
    centroids = centroids_of(vectors, near=0)
    assert without_outliers(rows, centroids, 0.4, 0.4).tolist() == [0, 1, 2, 3]
    assert without_outliers(rows, centroids, 0.4, 0.25).tolist() == [0, 1, 2]
    assert without_outliers(rows, centroids, 0.1, 0.25).tolist() == [3]


def test_no_rows_stay_no_rows() -> None:
    vectors = np.eye(2, dtype=np.float32)
    none = np.zeros(0, dtype=np.intp)
    assert len(without_outliers(none, centroids_of(vectors), 0.5, 0.4)) == 0

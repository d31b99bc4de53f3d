"""Discovery of identities: merging of clusters that were split, and separation of those that must not merge."""

import numpy as np
from mixtures import people, unit

from immich_facesets.grouping.centroids import Centroids
from immich_facesets.grouping.discovery import merge_clusters


def centroids_of(vectors: np.ndarray) -> Centroids:
    return Centroids(vectors, np.ones(len(vectors), dtype=np.bool_), 0.0)


def merged(
    vectors: np.ndarray, clusters: list[list[int]], pictures: list[set[int]], limit: float
) -> set[frozenset[int]]:
    rows = [np.array(cluster) for cluster in clusters]
    return {frozenset(part.tolist()) for part in merge_clusters(rows, centroids_of(vectors), pictures, limit)}


def test_parts_of_one_person_become_one_cluster() -> None:
    vectors, _ = people(np.random.default_rng(0), [9, 3], 0.7)
    parts = [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]
    found = merged(vectors, parts, [set(part) for part in parts], 0.4)
    assert found == {frozenset(range(9)), frozenset(range(9, 12))}


def test_merging_begins_with_the_nearest_and_measures_the_new_centre() -> None:
    """Along an arc the ends would merge by steps; each step moves the centre, so they do not."""
    angles = np.deg2rad([0, 30, 62])
    vectors = unit(np.stack([np.cos(angles), np.sin(angles)], axis=1))
    step, whole = 1 - np.cos(np.deg2rad(32)), 1 - np.cos(np.deg2rad(47))
    assert merged(vectors, [[0], [1], [2]], [set(), set(), set()], step) == {frozenset({0, 1}), frozenset({2})}
    assert merged(vectors, [[0], [1], [2]], [set(), set(), set()], whole + 1e-6) == {frozenset({0, 1, 2})}


def test_clusters_side_by_side_in_a_picture_do_not_merge_nor_do_those_they_merged_with() -> None:
    vectors = unit(np.array([[1, 0, 0], [1, 0.1, 0], [1, 0, 0.5]]))
    found = merged(vectors, [[0], [1], [2]], [{7}, {8}, {8}], 0.4)
    assert found == {frozenset({0, 1}), frozenset({2})}
    found = merged(vectors, [[0], [1], [2]], [{7}, {8}, {7}], 0.4)
    assert found == {frozenset({0, 1}), frozenset({2})}


def test_nothing_merges_of_nothing() -> None:
    assert merge_clusters([], centroids_of(np.zeros((0, 4), dtype=np.float32)), [], 0.4) == []

"""Average linkage of many faces: nearly the exact partition, by a sample, sketches and means."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from large_library import large_library, persons_of, sizes_of
from mixtures import people, unit
from numpy.typing import NDArray
from references import adjusted_rand

from immich_facesets.clustering.blocked_products import SLACK, Directions
from immich_facesets.clustering.linkage import average_linkage
from immich_facesets.clustering.sampled_linkage import sampled_linkage
from immich_facesets.evaluation.metrics import pairwise

CUT = 0.55

Vectors = NDArray[np.float32]


def crowd(vectors: Vectors, cut: float, sample_rows: int) -> NDArray[np.int64]:
    norms = np.linalg.norm(vectors, axis=1).astype(np.float64)
    faces = Directions(vectors, norms, np.arange(len(vectors)))
    return sampled_linkage(faces, np.ones(len(vectors)), cut, 1.0 - cut - SLACK, sample_rows)


def test_a_great_library_falls_into_the_exact_clusters() -> None:
    vectors = large_library(4000)
    exact = average_linkage(vectors, CUT)
    found = crowd(vectors, CUT, sample_rows=300)
    assert pairwise(exact, found).f >= 0.999
    is_rare = (np.bincount(exact)[exact] > 1) & (np.bincount(exact)[exact] <= 5)
    assert pairwise(exact[is_rare], found[is_rare]).f >= 0.99


@pytest.mark.parametrize("cut", [0.1, 0.4, 0.5, 0.7])
def test_any_cut_is_near_the_exact_one_where_people_differ_clearly(cut: float) -> None:
    vectors, _ = people(np.random.default_rng(3), [80, 40, 20, 5, 3, 2, *([1] * 50)], 0.5)
    assert adjusted_rand(average_linkage(vectors, cut), crowd(vectors, cut, sample_rows=60)) > 0.95


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.lists(st.integers(1, 30), min_size=2, max_size=8),
    spread=st.floats(0.3, 1.2),
    cut=st.floats(0.2, 0.8),
    sample_rows=st.integers(1, 60),
)
def test_no_cluster_of_several_faces_stays_within_the_cut_of_another(
    seed: int, sizes: list[int], spread: float, cut: float, sample_rows: int
) -> None:
    vectors, _ = people(np.random.default_rng(seed), sizes, spread, 24)
    labels = crowd(vectors, cut, sample_rows)
    means = np.stack([vectors[labels == label].mean(axis=0, dtype=np.float64) for label in range(labels.max() + 1)])
    likeness = means @ means.T
    np.fill_diagonal(likeness, -1)
    assert (1 - likeness >= cut - 2 * SLACK).all()


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), cut=st.floats(0.05, 1.2), grid=st.booleans())
def test_the_order_of_many_faces_decides_nothing(seed: int, cut: float, grid: bool) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-2, 3, size=(60, 4)).astype(np.float32) if grid else people(rng, [19, 17, 3, 1], 0.9)[0]
    vectors = vectors[np.any(vectors, axis=1)]
    order = rng.permutation(len(vectors))
    direct, shuffled = average_linkage(vectors, cut, exact_rows=0), average_linkage(vectors[order], cut, exact_rows=0)
    assert adjusted_rand(direct[order], shuffled) == 1.0


def test_the_same_faces_are_clustered_the_same_again() -> None:
    vectors = large_library(1500)
    assert np.array_equal(crowd(vectors, CUT, sample_rows=200), crowd(vectors, CUT, sample_rows=200))


@pytest.mark.parametrize("exact_rows", [0, 1000])
def test_a_library_of_one_picture_is_one_cluster(exact_rows: int) -> None:
    same = np.broadcast_to(unit(np.ones((1, 8))), (500, 8))
    assert average_linkage(same, 0.5, exact_rows=exact_rows).tolist() == [0] * 500
    assert average_linkage(same, 0.0, exact_rows=exact_rows).tolist() == list(range(500))


@pytest.mark.parametrize("exact_rows", [0, 1000])
def test_beyond_opposites_everything_is_one_cluster(exact_rows: int) -> None:
    opposites = np.concatenate([np.eye(3), -np.eye(3)]).astype(np.float32)
    assert average_linkage(opposites, 2.1, exact_rows=exact_rows).tolist() == [0] * 6


def test_zero_and_one_face_are_valid_inputs() -> None:
    assert average_linkage(np.zeros((0, 8), dtype=np.float32), 0.5, exact_rows=0).tolist() == []
    assert average_linkage(np.ones((1, 8), dtype=np.float32), 0.5, exact_rows=0).tolist() == [0]


def test_thousands_of_one_person_are_one_cluster() -> None:
    hub, _ = people(np.random.default_rng(4), [4000], 0.8, d=64)
    assert average_linkage(hub, 0.6).max() == 0
    assert crowd(hub, 0.6, sample_rows=100).max() == 0


def test_pictures_that_occur_twice_count_twice() -> None:
    vectors, _ = people(np.random.default_rng(8), [60, 40, 10, 1, 1], 0.9)
    twice = np.concatenate([vectors, vectors[::2], vectors[:10]])
    exact, found = average_linkage(twice, 0.5), average_linkage(twice, 0.5, exact_rows=0)
    assert adjusted_rand(exact, found) > 0.98
    assert found[: len(vectors)][::2].tolist() == found[len(vectors) : -10].tolist()


def test_an_invented_library_has_the_people_it_says() -> None:
    vectors, who, sizes = large_library(3000), persons_of(3000), sizes_of(3000)
    assert np.bincount(who).tolist() == sizes.tolist()
    assert pairwise(who, average_linkage(vectors, CUT)).f > 0.999

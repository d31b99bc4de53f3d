"""Average linkage: the partition of scikit-learn, without its matrix."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixtures import people, unit
from numpy.typing import NDArray
from references import adjusted_rand, average_linkage_of_scikit_learn
from testdata import shared_data

from immich_facesets.clustering import agglomeration, reciprocal_neighbours
from immich_facesets.clustering.linkage import average_linkage, by_first_appearance


def assert_same_partition(vectors: NDArray[np.float32], cut: float) -> None:
    assert adjusted_rand(average_linkage_of_scikit_learn(vectors, cut), average_linkage(vectors, cut)) == 1.0


@pytest.fixture(
    params=[(2048, 16), (16, 16), (1, 2)], ids=["by matrix", "in rounds, then by matrix", "in forgetful rounds"]
)
def _matrix_rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agglomeration, "MATRIX_ROWS", request.param[0])
    monkeypatch.setattr(reciprocal_neighbours, "REMEMBERED", request.param[1])


@pytest.mark.usefixtures("_matrix_rows")
class TestSamePartitionAsScikitLearn:
    @pytest.mark.parametrize("cut", [0.05, 0.3, 0.45, 0.55, 0.8, 0.95, 1.1, 2.5])
    @pytest.mark.parametrize("spread", [0.3, 0.9, 1.3])
    def test_people_with_many_and_few_faces(self, cut: float, spread: float) -> None:
        rng = np.random.default_rng(7)
        vectors, _ = people(rng, [120, 60, 30, 10, 5, 2] + [1] * 40, spread)
        assert_same_partition(vectors[rng.permutation(len(vectors))], cut)

    @pytest.mark.parametrize("cut", [0.1, 0.5, 0.9])
    def test_pictures_that_occur_twice(self, cut: float) -> None:
        rng = np.random.default_rng(8)
        vectors, _ = people(rng, [30, 20, 10, 1, 1], 0.9)
        vectors = np.concatenate([vectors, vectors[::2], vectors[:10]])
        assert_same_partition(vectors[rng.permutation(len(vectors))], cut)

    @pytest.mark.parametrize("noise", [1e-3, 1e-5, 1e-6])
    @pytest.mark.parametrize("cut", [1e-4, 0.3, 0.6])
    def test_pictures_that_almost_occur_twice(self, noise: float, cut: float) -> None:
        rng = np.random.default_rng(9)
        vectors, _ = people(rng, [25, 15, 1, 1, 1], 0.8)
        twins = vectors + noise * rng.normal(size=vectors.shape).astype(np.float32)
        assert_same_partition(np.concatenate([vectors, unit(twins)]), cut)

    @pytest.mark.parametrize("cut", [0.02, 0.1, 0.4, 1.0])
    def test_a_chain_of_gradually_changing_faces(self, cut: float) -> None:
        rng = np.random.default_rng(10)
        steps = np.cumsum(rng.uniform(0.01, 0.03, size=150))
        chain = np.stack([np.cos(steps), np.sin(steps), 0.05 * rng.normal(size=150)], axis=1)
        assert_same_partition(unit(chain), cut)

    def test_vectors_of_any_length(self) -> None:
        rng = np.random.default_rng(11)
        vectors, _ = people(rng, [30, 30, 30], 0.9)
        assert_same_partition(vectors * rng.uniform(1e-3, 1e3, size=(90, 1)).astype(np.float32), 0.5)

    @settings(max_examples=40)
    @given(
        seed=st.integers(0, 2**32 - 1),
        sizes=st.lists(st.integers(1, 25), min_size=2, max_size=8),
        spread=st.floats(0.05, 2.0),
        cut=st.floats(0.01, 1.3),
        d=st.integers(2, 40),
    )
    def test_any_mixture(self, seed: int, sizes: list[int], spread: float, cut: float, d: int) -> None:
        rng = np.random.default_rng(seed)
        vectors, _ = people(rng, sizes, spread, d)
        copies = rng.integers(0, len(vectors), size=len(vectors) // 4)
        assert_same_partition(np.concatenate([vectors, vectors[copies]]), cut)


@pytest.mark.models
@pytest.mark.parametrize("cut", [0.65, *(pytest.param(cut, marks=pytest.mark.slow) for cut in (0.45, 0.55, 0.8))])
def test_real_faces_fall_into_the_clusters_of_scikit_learn(cut: float) -> None:
    embeddings = np.load(shared_data() / "data" / "lfw_embeddings.npz")["embedding"].astype(np.float32)
    some = np.random.default_rng(3).choice(len(embeddings), 3000, replace=False)
    assert_same_partition(embeddings[some], cut)


def test_clusters_merge_only_below_the_cut_never_at_it() -> None:
    right_angle = np.eye(2, dtype=np.float32)
    assert (
        average_linkage(right_angle, 1.0).tolist()
        == average_linkage_of_scikit_learn(right_angle, 1.0).tolist()[::-1]
        == [0, 1]
    )
    assert average_linkage(right_angle, 1.0 + 1e-9).tolist() == [0, 0]


def test_a_cut_of_nothing_merges_nothing() -> None:
    assert average_linkage(np.ones((3, 2), dtype=np.float32), 0.0).tolist() == [0, 1, 2]


def test_no_faces_and_one_face() -> None:
    assert average_linkage(np.zeros((0, 8), dtype=np.float32), 0.5).tolist() == []
    assert average_linkage(np.ones((1, 8), dtype=np.float32), 0.5).tolist() == [0]


def test_labels_count_in_the_order_of_first_appearance() -> None:
    vectors = unit(np.array([[0, 1.0], [1, 0], [0.01, 1], [1, 0.01]]))
    assert average_linkage(vectors, 0.1).tolist() == [0, 1, 0, 1]
    assert by_first_appearance(np.array([7, 3, 7, 0])).tolist() == [0, 1, 0, 2]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_vector_with_a_hole_is_refused(bad: float) -> None:
    vectors = np.ones((3, 4), dtype=np.float32)
    vectors[1, 2] = bad
    with pytest.raises(ValueError, match="finite"):
        average_linkage(vectors, 0.5)


def test_a_vector_without_direction_is_refused() -> None:
    vectors = np.ones((3, 4), dtype=np.float32)
    vectors[1] = 0
    with pytest.raises(ValueError, match="direction"):
        average_linkage(vectors, 0.5)


@pytest.mark.parametrize("cut", [-0.1, float("nan")])
def test_a_cut_that_is_no_distance_is_refused(cut: float) -> None:
    with pytest.raises(ValueError, match="distance"):
        average_linkage(np.ones((3, 4), dtype=np.float32), cut)


def test_what_is_no_matrix_is_refused() -> None:
    with pytest.raises(ValueError, match="matrix"):
        average_linkage(np.ones(4, dtype=np.float32), 0.5)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), cut=st.floats(0.05, 1.2), grid=st.booleans())
def test_the_order_of_faces_decides_nothing(seed: int, cut: float, grid: bool) -> None:
    """Also with many ties, as on a grid."""
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-2, 3, size=(40, 4)).astype(np.float32) if grid else people(rng, [9, 7, 3, 1], 0.9)[0]
    vectors = vectors[np.any(vectors, axis=1)]
    order = rng.permutation(len(vectors))
    direct, shuffled = average_linkage(vectors, cut), average_linkage(vectors[order], cut)
    assert adjusted_rand(direct[order], shuffled) == 1.0


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), cut=st.floats(0.01, 1.2))
def test_twins_share_a_cluster(seed: int, cut: float) -> None:
    rng = np.random.default_rng(seed)
    vectors, _ = people(rng, [6, 5, 1, 1], 1.0)
    labels = average_linkage(np.concatenate([vectors, vectors]), cut)
    assert labels[: len(vectors)].tolist() == labels[len(vectors) :].tolist()


def test_memory_stays_far_below_a_matrix_of_pairs() -> None:
    vectors, _ = people(np.random.default_rng(1), [6000], 0.9, d=32)
    tracemalloc.start()
    average_linkage(vectors, 0.42)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 6000 * 6000 * 8 / 2

"""Connected components of near pairs: exact by tiles, and nearly exact by sketches."""

import numpy as np
import pytest
from mixtures import people
from references import adjusted_rand, components_of_scipy

from immich_facesets.clustering import components
from immich_facesets.clustering.components import join_likely, join_near
from immich_facesets.clustering.disjoint_sets import DisjointSets
from immich_facesets.evaluation.metrics import pairwise

CUT = 0.55


@pytest.mark.parametrize("tile", [(1, 1), (7, 3), (3, 7), (64, 64)])
def test_tiles_of_any_shape_find_the_same_components(tile: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, _ = people(np.random.default_rng(5), [9, 7, 5, 1, 1, 1], 1.1)
    near = vectors @ vectors.T >= 0.5
    monkeypatch.setattr(components, "TILE", tile)
    sets = DisjointSets(len(vectors))
    join_near(sets, vectors, 0.5)
    assert adjusted_rand(components_of_scipy(np.argwhere(near), len(near)), sets.labels()) == 1.0


def test_rows_are_compared_with_themselves_and_those_behind_them_only() -> None:
    same = np.ones((4, 1), dtype=np.float32)
    sets = DisjointSets(4)
    join_near(sets, same, 0.5, slice(2, None))
    assert sets.labels().tolist() == [0, 1, 2, 2]


def test_sketches_find_the_only_other_face_of_somebody() -> None:
    vectors, who = people(np.random.default_rng(6), [2] * 600, 0.83, d=512)  # a cosine of 0.59
    sets = DisjointSets(len(vectors))
    join_likely(sets, vectors, 1 - CUT)
    together = pairwise(who, sets.labels())
    assert together.precision == 1
    assert together.recall > 0.99

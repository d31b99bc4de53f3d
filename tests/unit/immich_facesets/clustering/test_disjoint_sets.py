"""Disjoint sets: places are in one set exactly when a chain of pairs connects them."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from references import adjusted_rand, components_of_scipy

from immich_facesets.clustering.disjoint_sets import DisjointSets


@settings(max_examples=50)
@given(
    n=st.integers(1, 60),
    pairs=st.lists(st.tuples(st.integers(0, 59), st.integers(0, 59)), max_size=80),
    parts=st.integers(1, 4),
)
def test_sets_grow_together_along_pairs(n: int, pairs: list[tuple[int, int]], parts: int) -> None:
    edges = np.array([(a % n, b % n) for a, b in pairs], dtype=np.intp).reshape(-1, 2)
    sets = DisjointSets(n)
    for part in np.array_split(edges, parts):
        sets.join(part[:, 0], part[:, 1])
    labels = sets.labels()
    assert adjusted_rand(components_of_scipy(edges, n), labels) == 1.0
    assert all(sets.is_joined(a, b) == (labels[a] == labels[b]) for a in range(n) for b in range(n))

"""
Reference implementations that our results are compared with, each imported on use.

Every worker of pytest collects every test, and scikit-learn alone takes longer to import than all of our modules.
"""

# ruff: noqa: PLC0415  imports stand in functions, so that collecting stays quick

from typing import Any

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]


def average_linkage_of_scikit_learn(vectors: NDArray[np.floating], cut: float) -> Labels:
    """Return scikit-learn's label of each row, cut where cosine distances exceed ``cut``."""
    from sklearn.cluster import AgglomerativeClustering

    model = AgglomerativeClustering(n_clusters=None, metric="cosine", linkage="average", distance_threshold=cut)
    labels: Labels = model.fit_predict(vectors)
    return labels


def adjusted_rand(one: Any, other: Any) -> float:
    """Return 1.0 for two equal partitions, whatever their labels are, and about 0 for unrelated ones."""
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(one, other))


def components_of_scipy(edges: NDArray[np.integer], n: int) -> Labels:
    """Return the connected component of each of ``n`` nodes; ``edges`` (m, 2) holds pairs of them."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(n, n))
    labels: Labels = connected_components(graph, directed=False)[1]
    return labels


def mean_head() -> NDArray[np.float64]:
    """Return the 68 points (68, 3) of insightface's mean head: x to the right, y down, z towards the viewer."""
    from insightface.data import get_object

    return np.asarray(get_object("meanshape_68.pkl"), dtype=np.float64)


def pose_by_insightface(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return pitch, yaw and roll in degrees that insightface gives a face with these points (68, 3)."""
    from insightface.utils import transform

    matrix = transform.estimate_affine_matrix_3d23d(mean_head(), points)
    return np.array(transform.matrix2angle(transform.P2sRt(matrix)[1]))

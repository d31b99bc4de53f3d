"""
The template of ArcFace, and the transform that moves the five points of a face onto it.

The template is that of insightface (112 x 112; Deng et al., *ArcFace*, 2019, as published with its code), the transform
the least-squares one of Umeyama (1991).
"""

import numpy as np
from numpy.typing import NDArray

from immich_facesets.errors import ItemError
from immich_facesets.faces import Landmarks

TEMPLATE: NDArray[np.float64] = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
TEMPLATE_SIDE = 112


def template(side: int) -> NDArray[np.float64]:
    """Return the five points in a crop of ``side`` pixels; sides that are multiples of 128 keep 8/128 free on the left."""
    scaled: NDArray[np.float64]
    if side % 112 == 0 or side % 128:
        scaled = TEMPLATE * (side / 112)
    else:
        scaled = TEMPLATE * (side / 128) + np.array([8.0 * side / 128, 0.0])
    return scaled


def similarity(points: Landmarks, target: NDArray[np.float64]) -> NDArray[np.float64]:
    """
    The 2 x 3 matrix of rotation, uniform scale and shift that brings ``points`` closest to ``target`` (5, 2).

    Points without extent are an ``ItemError``.
    """
    source = np.array(points, dtype=np.float64)
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    source, target = source - source_mean, target - target_mean
    variance = float((source**2).sum()) / len(source)
    if not np.isfinite(variance) or variance < 1e-6:
        raise ItemError("the five points of a face lie on one spot", reason="degenerate_face")
    left, singular, right = np.linalg.svd(target.T @ source / len(source))
    mirror = np.array([1.0, 1.0 if np.linalg.det(left) * np.linalg.det(right) > 0 else -1.0])
    scale = float(singular @ mirror) / variance
    linear = scale * (left * mirror) @ right
    return np.hstack([linear, (target_mean - linear @ source_mean)[:, None]])

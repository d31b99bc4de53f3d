"""
Moving a face onto the template of ArcFace: five points, one similarity transform, never a raw box.

The template is that of insightface (112 x 112; Deng et al., *ArcFace*, 2019, as published with its code), the transform
the least-squares one of Umeyama (1991).
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from embedder.engine import Aligned, Detection, Pixels
from embedder.images.colour import cv2_array
from immich_facesets.errors import ItemError
from immich_facesets.faces import Landmarks

ALIGNMENT = "arcface-112-similarity"

TEMPLATE: NDArray[np.float64] = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
_LONGEST_SIDE = 32_000  # OpenCV warps only pictures whose sides fit a signed 16-bit number
_REACH = 4


def template(side: int) -> NDArray[np.float64]:
    """The five points in a crop of ``side`` pixels; sides that are multiples of 128 keep 8/128 free on the left."""
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


def align(pixels: Pixels, detection: Detection, side: int) -> Aligned:
    """The face as a crop of ``side`` x ``side``; what lies outside the picture is black."""
    matrix = similarity(detection.landmarks, template(side))
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if not scale > 1e-6:
        raise ItemError("the five points of a face have no direction", reason="degenerate_face")
    return Aligned(warp(pixels, matrix, side), side / scale, detection)


def warp(pixels: Pixels, matrix: NDArray[np.float64], side: int) -> Pixels:
    """The square of ``side`` pixels to which ``matrix`` (2, 3) leads; what lies outside the picture is black."""
    pixels, matrix = _nearby(pixels, matrix, side)
    return cv2_array(cv2.warpAffine(pixels, matrix, (side, side), borderValue=0.0))


def _nearby(pixels: Pixels, matrix: NDArray[np.float64], side: int) -> tuple[Pixels, NDArray[np.float64]]:
    """A picture too long for OpenCV reduced to the surroundings of the face, and the matrix for these."""
    height, width = pixels.shape[:2]
    if max(height, width) <= _LONGEST_SIDE:
        return pixels, matrix
    inverse = cv2.invertAffineTransform(matrix)
    corners = np.array([[0, 0, 1], [side, 0, 1], [0, side, 1], [side, side, 1]]) @ np.asarray(inverse).T
    low = np.floor(corners.min(axis=0)).astype(int) - _REACH
    high = np.ceil(corners.max(axis=0)).astype(int) + _REACH
    left, top = (int(np.clip(value, 0, limit - 1)) for value, limit in zip(low, (width, height), strict=True))
    part = pixels[top : max(top + 1, int(high[1])), left : max(left + 1, int(high[0]))]
    moved = matrix.copy()
    moved[:, 2] += matrix[:, :2] @ np.array([left, top], dtype=np.float64)
    return part[:_LONGEST_SIDE, :_LONGEST_SIDE], moved

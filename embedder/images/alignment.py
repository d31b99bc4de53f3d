"""Moving a face onto the template of ArcFace: five points, one similarity transform, never a raw box."""

import cv2
import numpy as np
from numpy.typing import NDArray

from embedder.engine import Aligned, Detection, Pixels
from embedder.images.colour import cv2_array
from immich_facesets.errors import ItemError
from immich_facesets.face_template import similarity, template

ALIGNMENT = "arcface-112-similarity"

_LONGEST_SIDE = 32_000  # OpenCV warps only pictures whose sides fit a signed 16-bit number
_REACH = 4


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

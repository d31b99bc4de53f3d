"""The measures of one aligned face."""

import cv2
import numpy as np

from embedder.engine import Aligned, Pixels
from immich_facesets.faces import Measures
from immich_facesets.quality.pose import estimate_pose

SECOND_DIFFERENCE = np.array([1.0, -2.0, 1.0])
"""Taken along both axes it answers to noise, hardly to edges (Immerkaer, "Fast Noise Variance Estimation", 1996)."""

WEAKEST = 0.9
"""The share of the pixels that noise is estimated from. The strongest answers come from edges."""

STEPS = 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.5, 1.75
"""Pixels of the decoded picture between two of the crop."""

NOISE_VARIANCE = 6.903, 4.662, 3.491, 2.649, 2.134, 1.795, 1.592, 1.448, 1.339, 1.297
"""
The variance of the Laplacian of noise at those steps, in units of the squared mean of its weakest answers.

Interpolation between pixels smooths noise, the more the nearer two pixels of a crop lie in the picture. The variances
were measured on aligned white noise. They vary by 2 to 9 % from crop to crop.
"""

CERTAINTY = 1.1
"""Noise counts this many times, so that what varies by chance is not taken for sharpness."""

TEXTURE = 0.1
"""
The share of a clean face's variance that looks like noise, at most, on three of four labelled photos.

So much is no noise, and a clean face keeps its variance.
"""


def measure(face: Aligned, reduction: int = 1) -> Measures:
    """
    Blur, light and pose of an aligned face, from a picture decoded with its sides divided by ``reduction``.

    A crop that had to be magnified (``blur_size`` smaller than its side) is smooth for that reason alone.
    """
    grey = np.asarray(cv2.cvtColor(face.crop, cv2.COLOR_RGB2GRAY), np.uint8)
    pose = estimate_pose(face.detection.landmarks)
    return Measures(
        blur=_sharpness(grey, face.span / reduction / grey.shape[0]),
        blur_size=max(1, round(face.span)),
        brightness=float(grey.mean(dtype=np.float64)),
        contrast=float(grey.std(dtype=np.float64)),
        yaw=pose.yaw,
        pitch=pose.pitch,
        roll=pose.roll,
    )


def _sharpness(grey: Pixels, step: float) -> float:
    """Return the variance of the Laplacian without that of noise; a clean picture keeps it."""
    laplacian = np.asarray(cv2.Laplacian(grey, cv2.CV_32F))
    variance = float(laplacian.var(dtype=np.float64))
    answers = np.abs(np.asarray(cv2.sepFilter2D(grey, cv2.CV_32F, SECOND_DIFFERENCE, SECOND_DIFFERENCE)))
    seen = answers[(answers > 0) | (laplacian != 0)]  # black area outside the picture has no noise
    if len(seen) == 0:
        return variance
    weakest = np.partition(seen, kept := max(1, int(len(seen) * WEAKEST)) - 1)[: kept + 1]
    each = float(weakest.mean(dtype=np.float64)) ** 2 * float(np.interp(step, STEPS, NOISE_VARIANCE))
    noise = CERTAINTY * each * len(seen) / answers.size
    return min(variance, max(0.0, variance - noise) / (1 - TEXTURE))

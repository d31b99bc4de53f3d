"""The measures of one aligned face."""

import cv2
import numpy as np

from embedder.engine import Aligned
from immich_facesets.faces import Measures
from immich_facesets.quality.pose import estimate_pose


def measure(face: Aligned) -> Measures:
    """
    Blur, light and pose of an aligned face.

    A crop that had to be magnified (``blur_size`` smaller than its side) is smooth for that reason alone.
    """
    grey = cv2.cvtColor(face.crop, cv2.COLOR_RGB2GRAY)
    laplacian = np.asarray(cv2.Laplacian(grey, cv2.CV_32F))
    pose = estimate_pose(face.detection.landmarks)
    values = np.asarray(grey)
    return Measures(
        blur=float(laplacian.var(dtype=np.float64)),
        blur_size=max(1, round(face.span)),
        brightness=float(values.mean(dtype=np.float64)),
        contrast=float(values.std(dtype=np.float64)),
        yaw=pose.yaw,
        pitch=pose.pitch,
        roll=pose.roll,
    )

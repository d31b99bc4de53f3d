"""Measures of aligned faces: sharpness, light and the like."""

import cv2
import numpy as np
import pytest

from embedder.engine import Aligned, Detection
from embedder.faces.measures import measure
from immich_facesets.face_template import TEMPLATE
from immich_facesets.faces import Box


def test_a_sharp_face_measures_sharper_than_a_blurred_one() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    a, b, c, d, e = ((float(x), float(y)) for x, y in TEMPLATE)
    face = Detection(Box(0, 0, 1, 1), (a, b, c, d, e), 1)
    sharp = measure(Aligned(noise, 112.0, face))
    soft = measure(Aligned(np.asarray(cv2.GaussianBlur(noise, (0, 0), 2), np.uint8), 250.4, face))
    assert sharp.blur > 100 * soft.blur > 0
    assert (sharp.blur_size, soft.blur_size) == (112, 250)
    assert sharp.brightness == pytest.approx(127, abs=8)
    assert sharp.contrast > soft.contrast
    assert (sharp.yaw, sharp.pitch, sharp.roll) == pytest.approx((0, 0, 0), abs=1e-6)
    black = measure(Aligned(np.zeros((112, 112, 3), np.uint8), 50.0, face))
    assert (black.blur, black.brightness, black.contrast) == (0, 0, 0)

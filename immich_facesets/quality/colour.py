"""
Whether a picture of a face has colours, or is a monochrome one: grey, sepia, or of an infrared camera.

In a monochrome picture the tint follows from the brightness. The part of the tint that does not is colour.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

COLOURED = 2.75
"""
The least colour of a picture that has any. Of the shared photos (``tests/bench/bench_colour.py``) the palest coloured
face has 3.05. Made grey, brown, tinted or noisy, they have 2.43 at most.
"""

_SIDE = 32  # pixels: the noise of single ones is averaged away


def colour_of(picture: NDArray[np.uint8]) -> float:
    """
    Return how much colour the picture of a face has: a standard deviation of Cr and Cb, in grey values.

    ``picture``: (h, w, 3), BGR. Of both, the part that a parabola of the brightness explains is taken away. A picture
    without a pixel has no colour.
    """
    if not picture.size:
        return 0.0
    small = cv2.resize(picture, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.uint8)
    light, *tint = cv2.cvtColor(small, cv2.COLOR_BGR2YCrCb).reshape(-1, 3).astype(np.float64).T
    known = np.column_stack([np.ones_like(light), light, light**2])
    both = np.column_stack(tint)
    rest = both - known @ np.linalg.lstsq(known, both, rcond=None)[0]
    return round(float(np.hypot(*rest.std(axis=0))), 3)

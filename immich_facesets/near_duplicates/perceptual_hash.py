"""Perceptual hashes of face crops and of whole pictures: similar pictures differ in few bits."""

import cv2
import numpy as np
from numpy.typing import NDArray

HASH_SIDE = 8
_DCT_SIDE = 32
_SAMPLES = 256  # along the shorter side: 8 x 8 of them make one of the pixels that the hash is computed from
_FLAT = 1e-2  # a coefficient below this is rounding noise of the transform: a step of one grey value gives more


def perceptual_hash(grey: NDArray[np.uint8]) -> int:
    """
    Return the 64-bit perceptual hash of a grey picture (h, w) of any size.

    It is the usual pHash: 32 x 32 pixels, cosine transform, the lowest 8 x 8 coefficients; a bit is set where one
    exceeds their median. A flat picture hashes to 0 except for the bit of its mean.
    """
    small = cv2.resize(grey, (_DCT_SIDE, _DCT_SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:HASH_SIDE, :HASH_SIDE]
    low = np.where(np.abs(low) < _FLAT, np.float32(0), low)
    bits = (low > np.median(low)).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def hash_text(value: int) -> str:
    """Return a hash in its stored form: 16 hexadecimal digits."""
    return f"{value:016x}"


def picture_hash(pixels: NDArray[np.uint8]) -> str:
    """
    Return the hash of a whole upright picture (h, w, 3) RGB, as 16 hexadecimal digits.

    Of a large picture only every k-th pixel is used, which takes a hundredth of the time and changes at most one or two
    bits.
    """
    step = max(1, min(pixels.shape[:2]) // _SAMPLES)
    grey = cv2.cvtColor(np.ascontiguousarray(pixels[::step, ::step]), cv2.COLOR_RGB2GRAY)
    return hash_text(perceptual_hash(np.asarray(grey, dtype=np.uint8)))

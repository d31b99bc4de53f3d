"""
The directions in which a recogniser's vectors point when a crop shows nobody.

Poor crops lose what distinguishes people, and their vectors gather around such directions. A cluster there is made of
strangers. (Source: Deng, Xiong and others, "Harnessing Unrecognizable Faces for Improving Face Recognition", WACV 2023.)
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from embedder.engine import Aligned, FaceEngine, Pixels

COPIES = 8
"""Crops of noise for each direction: their mean depends little on the noise."""


def blank_directions(engine: FaceEngine) -> NDArray[np.float32]:
    """Return (k, d) unit vectors: a flat crop, an oval out of focus, and noise in the dark, dusk and light."""
    side = engine.facts.crop_side
    found = []
    for crops in _crops(side):
        vectors = engine.recognise([Aligned(crop, float(side), engine.probe()) for crop in crops]).astype(np.float64)
        mean = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).mean(axis=0)
        found.append(mean / np.linalg.norm(mean))
    directions = np.array(found, dtype=np.float32)
    return directions[np.isfinite(directions).all(axis=1)]


def _crops(side: int) -> Sequence[list[Pixels]]:
    dice = np.random.default_rng(1)
    flat = [np.full((side, side, 3), 60, np.uint8)]
    oval = np.full((side, side, 3), 70, np.uint8)
    cv2.ellipse(oval, (side // 2, side // 2), (side * 3 // 8, side // 2), 0, 0, 360, (175, 135, 115), -1)
    soft = [np.asarray(cv2.GaussianBlur(oval, (0, 0), side / 14), np.uint8)]
    noisy = [
        [_noise(dice, side, grey, deviation) for _ in range(COPIES)]
        for grey, deviation in ((20, 15), (60, 20), (110, 40))
    ]
    return [flat, soft, *noisy]


def _noise(dice: np.random.Generator, side: int, grey: int, deviation: int) -> Pixels:
    return np.asarray(np.clip(dice.normal(grey, deviation, (side, side, 3)), 0, 255).round(), np.uint8)

"""Soft places to stand in: a park, a beach, hills, a room, a town. None holds a colour that only eyes have."""

import numpy as np
from numpy.typing import NDArray


def draw_background(width: int, height: int, seed: int, tint: tuple[float, float, float]) -> NDArray[np.uint8]:
    """An RGB picture without people."""
    top, bottom = np.array([206, 226, 240]), np.array([170, 196, 140])
    rows = np.linspace(0, 1, height)[:, None, None]
    colours = (top + (bottom - top) * rows) * tint
    return np.broadcast_to(np.clip(colours, 0, 255), (height, width, 3)).astype(np.uint8)

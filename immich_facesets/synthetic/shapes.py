"""Shapes shared by scenes outside and inside: colour runs and upright boxes, in heights of the picture."""

import numpy as np

from immich_facesets.synthetic.canvas import Canvas, Outline
from immich_facesets.synthetic.identity_code import Colour


def draw_gradient(canvas: Canvas, top: float, bottom: float, first: Colour, second: Colour) -> None:
    """Draw a run of colour from one height to another, over the whole width."""
    height = canvas.pixels.shape[0]
    start, stop = max(0, round(top * height)), min(height, round(bottom * height))
    share = np.linspace(0, 1, max(stop - start, 0))[:, None, None]
    colours = (np.array(first) + (np.array(second) - np.array(first)) * share) * np.array(canvas.tint)
    canvas.pixels[start:stop] = np.clip(colours, 0, 255).astype(np.uint8)


def box_shape(x1: float, y1: float, x2: float, y2: float) -> Outline:
    return np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)])

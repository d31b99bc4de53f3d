"""
Views for detectors: the picture, an area of it, or a part of another view, as RGB pixels on a black canvas.

Sides of canvases are multiples of the coarsest stride, as the models' grids require.
"""

import cv2
import numpy as np

from embedder.engine import Pixels, View
from embedder.images.colour import cv2_array
from immich_facesets.faces import Box

COARSEST = 32
"""The largest stride of SCRFD and YuNet: a part cut out of a view keeps its cells only on this grid."""

PART_MARGIN = 16
"""Pixels of a view kept around a box that is searched alone."""

_MOIRE = 0.5
"""The factor below which pictures are reduced by area averaging."""


def whole_view(pixels: Pixels, side: int) -> View:
    """The picture at the top left of a black square of ``side`` pixels, its aspect ratio kept, as insightface does it."""
    height, width = pixels.shape[:2]
    if height > width:
        view_height, view_width = side, max(1, int(side * width / height))
    else:
        view_height, view_width = max(1, int(side * height / width)), side
    factor = view_height / height
    return View(_framed(cv2_array(cv2.resize(pixels, (view_width, view_height))), side, side), factor, factor)


def fitted_view(pixels: Pixels, side: int, *, is_square: bool) -> View:
    """
    The picture with its longer side reduced to ``side`` pixels; a smaller one keeps its size.

    It lies at the top left of a black canvas: a square of ``side`` pixels, or as small as the strides allow.
    """
    height, width = pixels.shape[:2]
    factor = min(1.0, side / max(height, width))
    return closer_view(pixels, Box(0, 0, width, height), factor, side if is_square else None)


def area_view(pixels: Pixels, area: Box, side: int) -> View:
    """The smallest square around ``area`` as ``side`` pixels; what lies outside the picture is black."""
    height, width = pixels.shape[:2]
    length = max(2.0, area.width, area.height)
    left, top = (area.x1 + area.x2 - length) / 2, (area.y1 + area.y2 - length) / 2
    x1, y1 = max(0, int(left)), max(0, int(top))
    x2, y2 = min(width, int(np.ceil(left + length))), min(height, int(np.ceil(top + length)))
    canvas = np.zeros((side, side, 3), dtype=np.uint8)
    if x1 >= x2 or y1 >= y2:
        return View(canvas)
    factor = side / length
    margin_x, margin_y = max(0, round((x1 - left) * factor)), max(0, round((y1 - top) * factor))
    view_width = min(side - margin_x, max(1, round((x2 - x1) * factor)))
    view_height = min(side - margin_y, max(1, round((y2 - y1) * factor)))
    if view_width < 1 or view_height < 1:
        return View(canvas)
    part = _reduced(pixels[y1:y2, x1:x2], view_width, view_height, factor)
    canvas[margin_y : margin_y + view_height, margin_x : margin_x + view_width] = part
    factors = view_width / (x2 - x1), view_height / (y2 - y1)
    return View(canvas, *factors, margin_x, margin_y, x1, y1)


def closer_view(pixels: Pixels, area: Box, factor: float, side: int | None) -> View:
    """
    Return a part of the picture with its sides times ``factor``, at the top left of a black canvas.

    The canvas is a square of ``side`` pixels, or as small as the strides allow when ``side`` is None.
    """
    x1, y1, x2, y2 = (round(value) for value in (area.x1, area.y1, area.x2, area.y2))
    width, height = (max(1, round(length * factor)) for length in (x2 - x1, y2 - y1))
    if side is not None:
        width, height = min(width, side), min(height, side)
    framed_height, framed_width = (side or -(-length // COARSEST) * COARSEST for length in (height, width))
    canvas = _framed(_reduced(pixels[y1:y2, x1:x2], width, height, factor), framed_height, framed_width)
    return View(canvas, width / (x2 - x1), height / (y2 - y1), left=x1, top=y1)


def part_view(view: View, box: Box) -> View | None:
    """
    Return the part of a view around a box (in the picture's pixels); None for a box outside the view.

    The part is unscaled and on the grid of the coarsest stride, so that the results equal those of the whole view: the
    models' points depend on the scale.
    """
    height, width = view.pixels.shape[:2]
    left, right = ((x - view.left) * view.x_factor + view.margin_x for x in (box.x1, box.x2))
    top, bottom = ((y - view.top) * view.y_factor + view.margin_y for y in (box.y1, box.y2))
    x1, y1 = (max(0, int((low - PART_MARGIN) // COARSEST) * COARSEST) for low in (left, top))
    x2 = min(width, -int(-(right + PART_MARGIN) // COARSEST) * COARSEST)
    y2 = min(height, -int(-(bottom + PART_MARGIN) // COARSEST) * COARSEST)
    if x1 >= x2 or y1 >= y2:
        return None
    margins = view.margin_x - x1, view.margin_y - y1
    return View(view.pixels[y1:y2, x1:x2], view.x_factor, view.y_factor, *margins, view.left, view.top)


def squared(view: View, side: int) -> View:
    """Return the view at the top left of a black square of ``side`` pixels, reduced where it is larger."""
    height, width = view.pixels.shape[:2]
    if (height, width) == (side, side):
        return view
    factor = min(1.0, side / max(height, width))
    shown_width, shown_height = (max(1, round(length * factor)) for length in (width, height))
    x_scale, y_scale = shown_width / width, shown_height / height
    canvas = _framed(_reduced(view.pixels, shown_width, shown_height, factor), side, side)
    factors = view.x_factor * x_scale, view.y_factor * y_scale
    margins = round(view.margin_x * x_scale), round(view.margin_y * y_scale)
    return View(canvas, *factors, *margins, view.left, view.top)


def _reduced(pixels: Pixels, width: int, height: int, factor: float) -> Pixels:
    if pixels.shape[:2] == (height, width):
        return pixels
    way = cv2.INTER_AREA if factor < _MOIRE else cv2.INTER_LINEAR
    return cv2_array(cv2.resize(pixels, (width, height), interpolation=way))


def _framed(shown: Pixels, height: int, width: int) -> Pixels:
    """The pixels at the top left of a black canvas."""
    if shown.shape[:2] == (height, width):
        return np.ascontiguousarray(shown)
    canvas = np.zeros((height, width, 3), dtype=np.uint8)
    canvas[: shown.shape[0], : shown.shape[1]] = shown
    return canvas

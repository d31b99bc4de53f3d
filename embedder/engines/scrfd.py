"""
SCRFD: from a picture to its input, and from its outputs to boxes and points (Guo et al., 2021).

The constants are those published with its models: strides, two anchors per cell, (x - 127.5) / 128. Suppression is at
0.4, with boxes counted as inclusive. A test keeps the results equal to insightface's.
"""

import functools
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from embedder.engine import Detection, Pixels, View
from immich_facesets.faces import Box

MEAN, SCALE = 127.5, 1 / 128.0
SUPPRESSION = 0.4
COARSEST = 32
"""The largest stride: a part cut out of a view keeps its anchors only on this grid."""

LEAST_FACE = 13.0
"""
Pixels of a view that the shorter side of a face needs to be noticed in it, be it doubtfully.

At 14 pixels SCRFD-500M finds 95 % of faces that stand alone before a busy ground, SCRFD-2.5G all; at 10 pixels 34 % and
66 % (``tests/bench/bench_looks.py``). Larger models of the family are not measured.
"""

PART_MARGIN = 16
"""Pixels of a view kept around a box that is searched alone."""

Floats = NDArray[np.float32]


def whole_view(pixels: Pixels, side: int) -> View:
    """The picture at the top left of a black square of ``side`` pixels, its aspect ratio kept."""
    height, width = pixels.shape[:2]
    if height > width:
        view_height, view_width = side, max(1, int(side * width / height))
    else:
        view_height, view_width = max(1, int(side * height / width)), side
    factor = view_height / height
    canvas = np.zeros((side, side, 3), dtype=np.uint8)
    canvas[:view_height, :view_width] = cv2.resize(pixels, (view_width, view_height))
    return View(_tensor(canvas), factor, factor)


def area_view(pixels: Pixels, area: Box, side: int) -> View:
    """The smallest square around ``area`` as ``side`` pixels; what lies outside the picture is black."""
    height, width = pixels.shape[:2]
    length = max(2.0, area.width, area.height)
    left, top = (area.x1 + area.x2 - length) / 2, (area.y1 + area.y2 - length) / 2
    x1, y1 = max(0, int(left)), max(0, int(top))
    x2, y2 = min(width, int(np.ceil(left + length))), min(height, int(np.ceil(top + length)))
    canvas = np.zeros((side, side, 3), dtype=np.uint8)
    if x1 >= x2 or y1 >= y2:
        return View(_tensor(canvas))
    factor = side / length
    margin_x, margin_y = max(0, round((x1 - left) * factor)), max(0, round((y1 - top) * factor))
    view_width = min(side - margin_x, max(1, round((x2 - x1) * factor)))
    view_height = min(side - margin_y, max(1, round((y2 - y1) * factor)))
    if view_width < 1 or view_height < 1:
        return View(_tensor(canvas))
    way = cv2.INTER_AREA if factor < 0.5 else cv2.INTER_LINEAR
    part = cv2.resize(pixels[y1:y2, x1:x2], (view_width, view_height), interpolation=way)
    canvas[margin_y : margin_y + view_height, margin_x : margin_x + view_width] = part
    factors = view_width / (x2 - x1), view_height / (y2 - y1)
    return View(_tensor(canvas), *factors, margin_x, margin_y, x1, y1)


def shown(view: View) -> Pixels:
    """Return what a view shows, (height, width, 3) BGR, for detectors that take pixels."""
    pixels = view.tensor[0].transpose(1, 2, 0) / SCALE + MEAN
    return np.ascontiguousarray(pixels[:, :, ::-1].round().astype(np.uint8))


def closer_view(pixels: Pixels, area: Box, factor: float, side: int | None) -> View:
    """
    Return a part of the picture with its sides times ``factor``, at the top left of a black input.

    The input is a square of ``side`` pixels, or as small as the strides allow when ``side`` is None.
    """
    x1, y1, x2, y2 = (round(value) for value in (area.x1, area.y1, area.x2, area.y2))
    width, height = (max(1, round(length * factor)) for length in (x2 - x1, y2 - y1))
    if side is not None:
        width, height = min(width, side), min(height, side)
    shape = [-(-length // COARSEST) * COARSEST if side is None else side for length in (height, width)]
    canvas = np.zeros((*shape, 3), dtype=np.uint8)
    way = cv2.INTER_AREA if factor < 0.5 else cv2.INTER_LINEAR
    canvas[:height, :width] = cv2.resize(pixels[y1:y2, x1:x2], (width, height), interpolation=way)
    return View(_tensor(canvas), width / (x2 - x1), height / (y2 - y1), left=x1, top=y1)


def part_view(view: View, box: Box) -> View | None:
    """
    Return the part of a view around a box (in the picture's pixels); None for a box outside the view.

    The part is unscaled and on the grid of the coarsest stride, so that the results equal those of the whole view: the
    model's points depend on the scale.
    """
    height, width = view.tensor.shape[-2:]
    left, right = ((x - view.left) * view.x_factor + view.margin_x for x in (box.x1, box.x2))
    top, bottom = ((y - view.top) * view.y_factor + view.margin_y for y in (box.y1, box.y2))
    x1, y1 = (max(0, int((low - PART_MARGIN) // COARSEST) * COARSEST) for low in (left, top))
    x2 = min(width, -int(-(right + PART_MARGIN) // COARSEST) * COARSEST)
    y2 = min(height, -int(-(bottom + PART_MARGIN) // COARSEST) * COARSEST)
    if x1 >= x2 or y1 >= y2:
        return None
    tensor = np.ascontiguousarray(view.tensor[:, :, y1:y2, x1:x2], dtype=np.float32)
    margins = view.margin_x - x1, view.margin_y - y1
    return View(tensor, view.x_factor, view.y_factor, *margins, view.left, view.top)


def read_outputs(outputs: Sequence[Floats], view: View, threshold: float) -> list[Detection]:
    """Return the faces in the model's outputs (scores, boxes and points, each per stride), best first."""
    levels = len(outputs) // 3
    strides = (8, 16, 32, 64, 128)[:levels]
    anchors = 2 if levels == 3 else 1
    height, width = view.tensor.shape[-2:]
    scores, boxes, points = [], [], []
    for level, stride in enumerate(strides):
        level_scores = outputs[level].reshape(-1)
        hits = np.flatnonzero(level_scores >= threshold)
        centres = _centres(height // stride, width // stride, stride, anchors)[hits]
        distances = outputs[level + levels].reshape(-1, 4)[hits] * stride
        shifts = outputs[level + 2 * levels].reshape(-1, 5, 2)[hits] * stride
        scores.append(level_scores[hits])
        boxes.append(np.hstack([centres - distances[:, :2], centres + distances[:, 2:]]))
        points.append(centres[:, None, :] + shifts)
    all_scores, all_boxes = np.concatenate(scores), np.vstack(boxes)
    kept = suppress(all_boxes, all_scores, scale=1 / view.x_factor)
    origin = np.array([view.left - view.margin_x / view.x_factor, view.top - view.margin_y / view.y_factor])
    factors = np.array([view.x_factor, view.y_factor])
    found_boxes = all_boxes[kept].reshape(-1, 2, 2).astype(np.float64) / factors + origin
    found_points = np.vstack(points)[kept].astype(np.float64) / factors + origin
    return [
        _detection(box, five, float(score))
        for box, five, score in zip(found_boxes, found_points, all_scores[kept], strict=True)
    ]


def suppress(boxes: Floats, scores: Floats, *, scale: float = 1.0) -> list[int]:
    """
    Indices of the boxes that stay, best score first: none overlaps a better one by more than 0.4 (IoU).

    ``boxes``: (n, 4); ``scale`` is the length of one of their pixels in the original, where boxes include their last
    pixel.
    """
    order = np.argsort(-scores, kind="stable")
    low, high = boxes[:, :2] * scale, boxes[:, 2:] * scale + 1
    areas = np.prod(high - low, axis=1)
    kept: list[int] = []
    while order.size:
        best, rest = int(order[0]), order[1:]
        kept.append(best)
        shared = np.clip(np.minimum(high[best], high[rest]) - np.maximum(low[best], low[rest]), 0, None).prod(axis=1)
        order = rest[shared <= SUPPRESSION * (areas[best] + areas[rest] - shared)]
    return kept


@functools.lru_cache(maxsize=256)
def _centres(height: int, width: int, stride: int, anchors: int) -> Floats:
    """The anchors' centres row by row, (height * width * anchors, 2), for a grid of so many cells."""
    rows, columns = np.mgrid[:height, :width]
    centres = np.stack([columns, rows], axis=-1).reshape(-1, 2).astype(np.float32) * stride
    centres = np.repeat(centres, anchors, axis=0)
    centres.setflags(write=False)
    return centres


def _tensor(canvas: Pixels) -> Floats:
    """RGB pixels as (1, 3, side, side) around zero."""
    blob = cv2.dnn.blobFromImage(canvas, SCALE, canvas.shape[1::-1], (MEAN, MEAN, MEAN))
    return np.ascontiguousarray(blob, dtype=np.float32)


def _detection(box: NDArray[np.float64], points: NDArray[np.float64], score: float) -> Detection:
    (x1, y1), (x2, y2) = box.tolist()
    left_eye, right_eye, nose, left_mouth, right_mouth = ((x, y) for x, y in points.tolist())
    return Detection(Box(x1, y1, x2, y2), (left_eye, right_eye, nose, left_mouth, right_mouth), score)

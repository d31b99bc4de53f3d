"""Whole pictures: a background, sitters in front of it, and the boxes of their faces."""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from immich_facesets.faces import Box
from immich_facesets.synthetic.backgrounds import draw_background
from immich_facesets.synthetic.canvas import Canvas, light_tint
from immich_facesets.synthetic.head_geometry import Frame
from immich_facesets.synthetic.portraits import draw_sitter
from immich_facesets.synthetic.subjects import Pose, Sitter

_FINE = 190
"""Heads narrower than this many pixels are drawn larger and then reduced."""


def draw_picture(
    width: int, height: int, sitters: Sequence[tuple[Sitter, Pose]], background_seed: int
) -> tuple[NDArray[np.uint8], tuple[Box, ...]]:
    """
    Return an upright (height, width, 3) RGB picture and the face boxes in the order of the sitters.

    Sitters are drawn in order, so later ones stand in front. Drawing takes about 10 ms for each sitter.
    """
    light = float(np.mean([pose.light for _, pose in sitters])) if sitters else 0.0
    picture = draw_background(width, height, background_seed, light_tint(light))
    for sitter, pose in sitters:
        _add(picture, sitter, pose)
    return picture, tuple(pose.frame().box() for _, pose in sitters)


def _add(picture: NDArray[np.uint8], sitter: Sitter, pose: Pose) -> None:
    frame = pose.frame()
    height, width = picture.shape[:2]
    left, right = _span(frame.x - 1.45 * frame.width, frame.x + 1.45 * frame.width, width)
    top, bottom = _span(frame.y - 1.25 * frame.width, frame.y + 5.6 * frame.width, height)
    if left >= right or top >= bottom:
        return
    part = picture[top:bottom, left:right]
    times = min(max(math.ceil(_FINE / frame.width), 1), 4)
    sheet = np.asarray(cv2.resize(part, None, fx=times, fy=times, interpolation=cv2.INTER_NEAREST), dtype=np.uint8)
    own = Frame(
        (frame.x - left + 0.5) * times - 0.5, (frame.y - top + 0.5) * times - 0.5, frame.width * times, frame.roll
    )
    draw_sitter(Canvas(sheet, own, light_tint(pose.light)), sitter, pose)
    drawn = sheet if times == 1 else cv2.resize(sheet, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
    part[:] = drawn if pose.blur <= 0 else _out_of_focus(part, np.asarray(drawn, dtype=np.uint8), pose.blur)


def _span(start: float, end: float, limit: int) -> tuple[int, int]:
    return max(0, math.floor(start)), min(limit, math.ceil(end))


def _out_of_focus(before: NDArray[np.uint8], after: NDArray[np.uint8], sigma: float) -> NDArray[np.uint8]:
    """Return the picture with the drawn part blurred, the rest unchanged."""
    changed = (before != after).any(axis=2).astype(np.float32)
    alpha = np.clip(2 * cv2.GaussianBlur(changed, (0, 0), sigma), 0, 1)[..., None]
    blurred = cv2.GaussianBlur(after, (0, 0), sigma)
    return np.asarray(before + alpha * (blurred - before.astype(np.float32)) + 0.5).astype(np.uint8)

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

_REACH = (1.45, 1.25, 1.45, 5.6)
"""How far a sitter reaches from the middle of the face: left, up, right and down, in head widths."""

_GLASS = (1.2, 1.15, 1.2, 1.9)
"""The same of the mirror of a reflection, of which the sitter shows no more."""

_FRAME = 0.09  # width of the mirror's frame, in head widths


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
    if pose.is_reflection:
        _add_mirror(picture, frame)
    left, top, right, bottom = _area(frame, _GLASS if pose.is_reflection else _REACH, picture)
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


def _add_mirror(picture: NDArray[np.uint8], frame: Frame) -> None:
    """Draw a mirror on the wall: a wooden frame, and pale glass with two streaks of light."""
    left, top, right, bottom = _area(frame, _GLASS, picture)
    edge = math.ceil(_FRAME * frame.width)
    wood, light, glass = (134, 92, 58), (168, 122, 80), (212, 222, 224)
    cv2.rectangle(picture, (left - edge, top - edge), (right + edge, bottom + edge), wood, cv2.FILLED)
    cv2.rectangle(picture, (left - edge // 2, top - edge // 2), (right + edge // 2, bottom + edge // 2), light, 2)
    picture[top:bottom, left:right] = glass
    across, down = right - left, bottom - top
    for start, wide in ((0.12, 0.1), (0.3, 0.03)):
        streak = [(start + 0.3, 0.0), (start + wide + 0.3, 0.0), (start + wide - 0.1, 1.0), (start - 0.1, 1.0)]
        points = np.array([(left + across * min(max(x, 0.0), 1.0), top + down * y) for x, y in streak])
        cv2.fillPoly(picture, [np.rint(points).astype(np.int32)], (228, 236, 236), cv2.LINE_AA)


def _area(
    frame: Frame, reach: tuple[float, float, float, float], picture: NDArray[np.uint8]
) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of the part of a picture that ``reach`` covers around a head, in pixels."""
    height, width = picture.shape[:2]
    left, up, right, down = (side * frame.width for side in reach)
    x, y = (_span(frame.x - left, frame.x + right, width), _span(frame.y - up, frame.y + down, height))
    return x[0], y[0], x[1], y[1]


def _span(start: float, end: float, limit: int) -> tuple[int, int]:
    return max(0, math.floor(start)), min(limit, math.ceil(end))


def _out_of_focus(before: NDArray[np.uint8], after: NDArray[np.uint8], sigma: float) -> NDArray[np.uint8]:
    """Return the picture with the drawn part blurred, the rest unchanged."""
    changed = (before != after).any(axis=2).astype(np.float32)
    alpha = np.clip(2 * cv2.GaussianBlur(changed, (0, 0), sigma), 0, 1)[..., None]
    blurred = cv2.GaussianBlur(after, (0, 0), sigma)
    return np.asarray(before + alpha * (blurred - before.astype(np.float32)) + 0.5).astype(np.uint8)

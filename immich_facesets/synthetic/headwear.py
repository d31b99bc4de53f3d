"""The embroidered band, and the headwear it is part of: a headband, a beanie, a sun hat, a crown, a scarf."""

import math

import numpy as np

from immich_facesets.synthetic import head_geometry
from immich_facesets.synthetic.appearance import Headwear, SubjectStyle, Thread
from immich_facesets.synthetic.canvas import Canvas, Outline, ellipse, shade, smooth
from immich_facesets.synthetic.head_geometry import turned
from immich_facesets.synthetic.identity_code import PALETTE, Colour, gem_colour, words
from immich_facesets.synthetic.subjects import Pose, Sitter

_TOP, _BOTTOM = head_geometry.BAND_TOP, head_geometry.BAND_BOTTOM


def draw_headwear(canvas: Canvas, look: SubjectStyle, pose: Pose, sitter: Sitter) -> None:
    _above(canvas, look)
    _ribbon(canvas, look)
    for column, row, colour in _cells(sitter.seed):
        _stitch(canvas, look.thread, pose.yaw, column, row, colour)
    _gem(canvas, sitter, pose)
    if look.headwear is Headwear.SUN_HAT:
        canvas.fill(ellipse(0.0, -0.205, 0.8, 0.055), (206, 170, 110))
        canvas.fill(ellipse(0.0, -0.215, 0.8, 0.045), (230, 198, 136))


def _cells(seed: int) -> list[tuple[float, float, Colour]]:
    places = [(x, y) for y in head_geometry.ROWS for x in head_geometry.COLUMNS]
    return [(x, y, PALETTE[symbol]) for (x, y), symbol in zip(places, words()[seed].tolist(), strict=True)]


def _above(canvas: Canvas, look: SubjectStyle) -> None:
    """Draw the part above the band."""
    cloth = look.second_colour
    dome = [(-0.5, -0.3), (-0.49, -0.5), (-0.33, -0.76), (0.0, -0.86), (0.33, -0.76), (0.49, -0.5), (0.5, -0.3)]
    match look.headwear:
        case Headwear.BEANIE:
            canvas.fill(ellipse(0.0, -0.9, 0.13, 0.12), shade(look.cloth, 1.3))
            canvas.fill(smooth(dome), cloth)
            for x in (-0.3, -0.15, 0.0, 0.15, 0.3):
                canvas.stroke(
                    smooth([(x, -0.48), (x * 0.85, -0.66), (x * 0.55, -0.79)], closed=False), 0.016, shade(cloth, 0.88)
                )
        case Headwear.SUN_HAT:
            canvas.fill(
                smooth(
                    [
                        (-0.46, -0.3),
                        (-0.44, -0.6),
                        (-0.34, -0.8),
                        (0.0, -0.84),
                        (0.34, -0.8),
                        (0.44, -0.6),
                        (0.46, -0.3),
                    ]
                ),
                (230, 198, 136),
            )
            canvas.stroke(smooth([(-0.32, -0.76), (0.0, -0.8), (0.32, -0.76)], closed=False), 0.016, (206, 170, 110))
        case Headwear.CROWN:
            tips = [
                (-0.48, -0.46),
                (-0.5, -0.78),
                (-0.32, -0.62),
                (-0.17, -0.84),
                (0.0, -0.64),
                (0.17, -0.84),
                (0.32, -0.62),
                (0.5, -0.78),
                (0.48, -0.46),
            ]
            canvas.fill(np.array(tips), (232, 190, 92))
            for x, y in (tips[1], tips[3], tips[5], tips[7]):
                canvas.fill(ellipse(x, y, 0.035, 0.035), (246, 222, 150))
        case Headwear.SCARF:
            canvas.fill(
                smooth(
                    [(-0.5, -0.3), (-0.5, -0.52), (-0.3, -0.72), (0.0, -0.77), (0.3, -0.72), (0.5, -0.52), (0.5, -0.3)]
                ),
                cloth,
            )
            canvas.fill(
                smooth([(0.44, -0.36), (0.66, -0.5), (0.74, -0.36), (0.62, -0.26), (0.72, -0.1), (0.56, -0.08)]),
                shade(cloth, 0.88),
            )
            canvas.stroke(smooth([(-0.4, -0.55), (-0.1, -0.63), (0.3, -0.58)], closed=False), 0.018, shade(cloth, 0.88))
        case Headwear.HEADBAND:
            pass


def _ribbon(canvas: Canvas, look: SubjectStyle) -> None:
    canvas.fill(_bent(_box(-0.5, _TOP, 0.5, _BOTTOM), 0.015), look.cloth)
    for y, factor in ((_TOP + 0.012, 1.25), (_BOTTOM - 0.012, 0.8)):
        line = np.column_stack([np.linspace(-0.49, 0.49, 20), np.full(20, y)])
        canvas.stroke(_bent(line), 0.014, shade(look.cloth, factor))


def _box(x1: float, y1: float, x2: float, y2: float) -> Outline:
    """Return a rectangle with points enough to be bent."""
    xs = np.linspace(x1, x2, 20)
    return np.vstack([np.column_stack([xs, np.full(20, y1)]), np.column_stack([xs[::-1], np.full(20, y2)])])


def _bent(outline: Outline, flare: float = 0.0) -> Outline:
    """Return the outline moved down, the more the farther to the side; ``flare`` widens it downwards."""
    x, y = outline.T
    wider = x * (1 + flare * (y - _TOP) / (_BOTTOM - _TOP))
    return np.column_stack([wider, y + head_geometry.BAND_BOW * x * x])


def _stitch(canvas: Canvas, thread: Thread, yaw: float, column: float, row: float, colour: Colour) -> None:
    left, x, right = (
        turned(column + side * head_geometry.CELL[0], head_geometry.BAND_RADIUS, yaw) for side in (-1, 0, 1)
    )
    rx, ry = (right - left) / 2, head_geometry.CELL[1]
    match thread:
        case Thread.SQUARE:
            canvas.fill(_bent(_box(left, row - ry, right, row + ry)), colour)
        case Thread.DOT:
            canvas.fill(_bent(ellipse(x, row, rx * 1.08, ry * 1.08)), colour)
        case Thread.DIAMOND:
            canvas.fill(_bent(_octagon(x, row, rx * 1.05, ry * 1.1)), colour)
        case Thread.FLOWER:
            for turn in range(0, 360, 72):
                lean = math.radians(turn - 90)
                petal = ellipse(x + 0.52 * rx * math.cos(lean), row + 0.52 * ry * math.sin(lean), 0.62 * rx, 0.6 * ry)
                canvas.fill(_bent(petal), colour)


def _octagon(x: float, y: float, rx: float, ry: float) -> Outline:
    corners = [(0.45, -1), (1, -0.45), (1, 0.45), (0.45, 1), (-0.45, 1), (-1, 0.45), (-1, -0.45), (-0.45, -1)]
    return np.array([(x + rx * a, y + ry * b) for a, b in corners])


def _gem(canvas: Canvas, sitter: Sitter, pose: Pose) -> None:
    x, y = turned(0.0, head_geometry.BAND_RADIUS, pose.yaw), sum(head_geometry.ROWS) / 2
    colour = gem_colour(pose.age, is_kin=sitter.is_kin)
    canvas.fill(ellipse(x, y, 0.082, 0.118), (236, 222, 190))
    canvas.fill(ellipse(x, y, 0.066, 0.102), colour)
    canvas.fill(ellipse(x - 0.02, y - 0.06, 0.018, 0.026), shade(colour, 1.5))

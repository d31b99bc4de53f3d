"""
Blurred background scenes. None holds a colour that only eyes have: all blue here is pale.

Scenes are drawn at half size on a canvas whose unit is the height of the picture. They are then enlarged, so that they
look a little out of focus behind the sitters.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from immich_facesets.synthetic.canvas import Canvas, ellipse, mix, shade, smooth
from immich_facesets.synthetic.head_geometry import Frame
from immich_facesets.synthetic.identity_code import Colour
from immich_facesets.synthetic.interiors import draw_cafe, draw_party, draw_room, draw_studio
from immich_facesets.synthetic.shapes import box_shape, draw_gradient

_SKIES: tuple[tuple[Colour, Colour], ...] = (
    ((176, 204, 228), (232, 240, 240)),
    ((188, 206, 222), (250, 232, 208)),
    ((228, 196, 178), (250, 226, 186)),
    ((196, 212, 218), (226, 232, 226)),
)
_GREENS: tuple[Colour, ...] = ((134, 172, 104), (152, 182, 112), (118, 156, 100), (166, 184, 120))
_AUTUMN: tuple[Colour, ...] = ((214, 140, 70), (196, 108, 62), (226, 178, 86), (170, 128, 70), (206, 160, 84))
_FACADES: tuple[Colour, ...] = ((232, 204, 172), (222, 176, 150), (236, 220, 190), (206, 190, 170), (226, 196, 186))


def draw_background(width: int, height: int, seed: int, tint: tuple[float, float, float]) -> NDArray[np.uint8]:
    """Return an RGB picture without people, (height, width, 3), in a light given as the tint of white."""
    dice = np.random.default_rng([seed, 4])
    small = np.full((max(height // 2, 1), max(width // 2, 1), 3), 200, dtype=np.uint8)
    canvas = Canvas(small, Frame(0.0, 0.0, small.shape[0], 0.0), tint)
    scenes: tuple[Callable[[Canvas, float, np.random.Generator], None], ...] = (
        _park, _hills, _beach, _town, _wood, draw_room, draw_party, draw_cafe, draw_studio,
    )  # fmt: skip
    scenes[seed % len(scenes)](canvas, width / height, dice)
    soft = cv2.GaussianBlur(small, (0, 0), max(small.shape[0] / 500, 0.6))
    return np.asarray(cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def _sky(canvas: Canvas, aspect: float, dice: np.random.Generator, low: float) -> None:
    top, bottom = _SKIES[int(dice.integers(len(_SKIES)))]
    draw_gradient(canvas, 0.0, low, top, bottom)
    canvas.glow(aspect * dice.uniform(0.1, 0.9), dice.uniform(0.05, 0.25), 0.4, (255, 248, 224), 0.8)
    for _ in range(int(dice.integers(2, 5))):
        x, y, size = aspect * dice.uniform(0, 1), dice.uniform(0.06, 0.3), dice.uniform(0.05, 0.1)
        for dx, dy, r in ((-1.0, 0.1, 0.6), (-0.3, -0.2, 0.8), (0.5, -0.05, 0.75), (1.2, 0.15, 0.5)):
            canvas.fill(
                ellipse(x + dx * size, y + dy * size, r * size * 1.3, r * size * 0.75),
                mix(bottom, (255, 255, 255), 0.6),
            )


def _ridge(canvas: Canvas, aspect: float, dice: np.random.Generator, y: float, rise: float, colour: Colour) -> None:
    """Draw ground from a wavy line down."""
    xs = np.linspace(-0.3, aspect + 0.3, 9).tolist()
    line = smooth([(x, y - dice.uniform(0, rise)) for x in xs], closed=False)
    canvas.fill(np.vstack([line, [(aspect + 0.3, 1.1), (-0.3, 1.1)]]), colour)


def _tree(canvas: Canvas, x: float, foot: float, size: float, leaves: Colour) -> None:
    trunk = np.array(
        [
            (x - 0.05 * size, foot - 0.6 * size),
            (x + 0.05 * size, foot - 0.6 * size),
            (x + 0.09 * size, foot),
            (x - 0.09 * size, foot),
        ]
    )
    canvas.fill(trunk, (122, 94, 74))
    for dx, dy, r, tone in (
        (0.0, -0.75, 0.36, 0.86),
        (-0.26, -0.85, 0.28, 0.94),
        (0.27, -0.88, 0.28, 0.94),
        (0.0, -1.1, 0.32, 1.06),
    ):
        canvas.fill(ellipse(x + dx * size, foot + dy * size, r * size, r * size), shade(leaves, tone))


def _park(canvas: Canvas, aspect: float, dice: np.random.Generator) -> None:
    green = _GREENS[int(dice.integers(len(_GREENS)))]
    _sky(canvas, aspect, dice, 0.6)
    _ridge(canvas, aspect, dice, 0.56, 0.08, mix(green, (214, 226, 214), 0.55))
    for x in sorted(dice.uniform(0, aspect, 7).tolist()):
        _tree(canvas, x, 0.6 + dice.uniform(0, 0.02), dice.uniform(0.16, 0.28), mix(green, (210, 220, 206), 0.25))
    _ridge(canvas, aspect, dice, 0.6, 0.03, green)
    path = smooth(
        [
            (aspect * 0.46, 0.585),
            (aspect * 0.5, 0.585),
            (aspect * 0.62, 0.75),
            (aspect * 0.9, 1.1),
            (aspect * 0.3, 1.1),
            (aspect * 0.5, 0.75),
        ]
    )
    canvas.fill(path, (226, 210, 178))
    _tree(canvas, aspect * dice.uniform(0.02, 0.14), 0.78, 0.62, shade(green, 0.92))
    _tree(canvas, aspect * dice.uniform(0.86, 0.98), 0.74, 0.52, green)
    _flowers(canvas, aspect, dice)


def _flowers(canvas: Canvas, aspect: float, dice: np.random.Generator) -> None:
    for _ in range(40):
        x, y = aspect * dice.uniform(0, 1), dice.uniform(0.72, 1.0)
        colour = ((250, 244, 230), (244, 208, 120), (232, 150, 130))[int(dice.integers(3))]
        canvas.fill(ellipse(x, y, 0.005 + 0.006 * (y - 0.7), 0.005 + 0.006 * (y - 0.7)), colour)


def _hills(canvas: Canvas, aspect: float, dice: np.random.Generator) -> None:
    _sky(canvas, aspect, dice, 0.7)
    for _ in range(3):
        x, top, reach = aspect * dice.uniform(0, 1), dice.uniform(0.18, 0.3), dice.uniform(0.4, 0.6)
        canvas.fill(np.array([(x - reach, 0.7), (x, top), (x + reach, 0.7)]), (172, 180, 190))
        canvas.fill(
            np.array(
                [
                    (x - reach * 0.24, top + 0.24 * (0.7 - top)),
                    (x, top),
                    (x + reach * 0.24, top + 0.24 * (0.7 - top)),
                    (x + 0.05, top + 0.08),
                    (x - 0.04, top + 0.11),
                ]
            ),
            (240, 242, 242),
        )
    for y, rise, colour in ((0.55, 0.1, (168, 188, 164)), (0.66, 0.1, (150, 180, 130)), (0.8, 0.08, (138, 172, 106))):
        _ridge(canvas, aspect, dice, y, rise, colour)
    for x in dice.uniform(0, aspect, 9).tolist():
        size = dice.uniform(0.06, 0.12)
        for step in range(3):
            y = 0.7 + step * size * 0.5
            canvas.fill(
                np.array(
                    [(x, y - size * 0.9), (x + size * (0.3 + 0.12 * step), y), (x - size * (0.3 + 0.12 * step), y)]
                ),
                (92, 128, 92),
            )


def _beach(canvas: Canvas, aspect: float, dice: np.random.Generator) -> None:
    _sky(canvas, aspect, dice, 0.5)
    draw_gradient(canvas, 0.46, 0.75, (162, 190, 198), (196, 216, 214))
    for _ in range(24):
        x, y = aspect * dice.uniform(0, 1), dice.uniform(0.48, 0.64)
        canvas.stroke(np.array([(x, y), (x + dice.uniform(0.04, 0.12), y)]), 0.004, (226, 236, 232))
    _ridge(canvas, aspect, dice, 0.69, 0.03, (244, 240, 226))
    _ridge(canvas, aspect, dice, 0.71, 0.03, (236, 216, 176))
    x = aspect * dice.uniform(0.08, 0.92)
    canvas.stroke(np.array([(x, 0.36), (x + 0.03, 0.86)]), 0.014, (244, 240, 230))
    for share in range(6):
        wedge = np.vstack([ellipse(x, 0.46, 0.24, 0.17, start=180 + 30 * share, end=210 + 30 * share), [(x, 0.32)]])
        canvas.fill(wedge, (226, 118, 98) if share % 2 else (250, 240, 224))
    canvas.fill(
        smooth([(aspect * 0.2, 0.52), (aspect * 0.28, 0.52), (aspect * 0.27, 0.54), (aspect * 0.21, 0.54)]),
        (150, 110, 90),
    )
    canvas.fill(np.array([(aspect * 0.238, 0.51), (aspect * 0.238, 0.38), (aspect * 0.285, 0.5)]), (252, 248, 240))


def _town(canvas: Canvas, aspect: float, dice: np.random.Generator) -> None:
    _sky(canvas, aspect, dice, 0.6)
    x = -dice.uniform(0, 0.1)
    while x < aspect:
        wide, top = dice.uniform(0.22, 0.34), dice.uniform(0.08, 0.26)
        colour = _FACADES[int(dice.integers(len(_FACADES)))]
        canvas.fill(box_shape(x, top, x + wide, 0.78), colour)
        canvas.fill(
            np.array([(x - 0.01, top), (x + wide + 0.01, top), (x + wide - 0.03, top - 0.07), (x + 0.03, top - 0.07)]),
            (168, 96, 78),
        )
        for row in np.arange(top + 0.06, 0.55, 0.15).tolist():
            for column in np.linspace(x + 0.03, x + wide - 0.09, 3).tolist():
                canvas.fill(box_shape(column - 0.006, row - 0.006, column + 0.066, row + 0.096), shade(colour, 1.4))
                canvas.fill(box_shape(column, row, column + 0.06, row + 0.09), (128, 132, 136))
        canvas.fill(
            box_shape(x + 0.02, 0.6, x + wide - 0.02, 0.64),
            ((214, 110, 92), (120, 146, 108), (228, 184, 100))[int(dice.integers(3))],
        )
        canvas.fill(box_shape(x + 0.04, 0.64, x + wide - 0.04, 0.78), (110, 92, 84))
        x += wide
    draw_gradient(canvas, 0.78, 1.0, (206, 196, 184), (184, 174, 164))


def _wood(canvas: Canvas, aspect: float, dice: np.random.Generator) -> None:
    draw_gradient(canvas, 0.0, 0.75, (244, 226, 188), (250, 238, 214))
    canvas.glow(aspect * dice.uniform(0.3, 0.7), 0.25, 0.5, (255, 250, 228), 0.9)
    for depth in (0.65, 0.4, 0.15):
        for x in dice.uniform(0, aspect, 6).tolist():
            leaves = _AUTUMN[int(dice.integers(len(_AUTUMN)))]
            _tree(canvas, x, 0.72 + 0.1 * (0.65 - depth), 0.65 - 0.4 * depth, mix(leaves, (250, 236, 208), depth))
    _ridge(canvas, aspect, dice, 0.74, 0.03, (206, 168, 104))
    for _ in range(90):
        x, y = aspect * dice.uniform(0, 1), dice.uniform(0.74, 1.0)
        canvas.fill(ellipse(x, y, 0.012, 0.006, tilt=dice.uniform(0, 180)), _AUTUMN[int(dice.integers(len(_AUTUMN)))])

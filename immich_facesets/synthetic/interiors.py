"""Scenes inside: a living room, a party, a café, a photographer's studio."""

import math

import numpy as np

from immich_facesets.synthetic.canvas import Canvas, ellipse, mix, shade, smooth
from immich_facesets.synthetic.identity_code import Colour
from immich_facesets.synthetic.shapes import box_shape, draw_gradient

_WALLS: tuple[Colour, ...] = ((236, 220, 196), (214, 220, 200), (230, 208, 198), (222, 220, 214), (226, 212, 172))
_WARM: tuple[Colour, ...] = ((224, 112, 92), (240, 184, 96), (142, 172, 116), (236, 212, 150), (206, 146, 152))


def _wall(canvas: Canvas, dice: np.random.Generator, skirting: float) -> Colour:
    colour = _WALLS[int(dice.integers(len(_WALLS)))]
    draw_gradient(canvas, 0.0, skirting, shade(colour, 1.06), shade(colour, 0.95))
    draw_gradient(canvas, skirting, 1.0, (196, 160, 124), (176, 138, 104))
    canvas.fill(box_shape(-0.1, skirting - 0.025, 4.0, skirting), shade(colour, 1.5))
    return colour


def _picture(canvas: Canvas, x: float, y: float, size: float, dice: np.random.Generator) -> None:
    colour = _WARM[int(dice.integers(len(_WARM)))]
    canvas.fill(box_shape(x, y, x + size, y + size * 0.75), (150, 112, 82))
    canvas.fill(box_shape(x + 0.012, y + 0.012, x + size - 0.012, y + size * 0.75 - 0.012), (246, 240, 226))
    low = y + size * 0.75 - 0.03
    canvas.fill(
        np.array([(x + 0.03, low), (x + size * 0.4, y + 0.06), (x + size * 0.62, low)]),
        mix(colour, (255, 255, 255), 0.2),
    )
    canvas.fill(np.array([(x + size * 0.4, low), (x + size * 0.68, y + 0.09), (x + size - 0.03, low)]), colour)


def _window(canvas: Canvas, x: float, y: float, wide: float, high: float) -> None:
    canvas.fill(box_shape(x - 0.025, y - 0.025, x + wide + 0.025, y + high + 0.025), (250, 246, 238))
    canvas.fill(box_shape(x, y, x + wide, y + high), (204, 222, 232))
    canvas.fill(ellipse(x + wide * 0.3, y + high, wide * 0.36, high * 0.34, start=180, end=360), (160, 186, 140))
    canvas.fill(ellipse(x + wide * 0.72, y + high, wide * 0.28, high * 0.5, start=180, end=360), (140, 172, 120))
    canvas.stroke(np.array([(x + wide / 2, y), (x + wide / 2, y + high)]), 0.014, (250, 246, 238))
    canvas.stroke(np.array([(x, y + high * 0.45), (x + wide, y + high * 0.45)]), 0.014, (250, 246, 238))


def _plant(canvas: Canvas, x: float, foot: float, size: float) -> None:
    for angle in (-70, -50, -28, -8, 12, 32, 54, 74):
        lean = math.radians(angle)
        tip = (x + size * math.sin(lean), foot - size * 0.3 - size * math.cos(lean))
        middle = ((x + tip[0]) / 2, (foot - size * 0.3 + tip[1]) / 2)
        canvas.fill(
            ellipse(*middle, size * 0.52, size * 0.12, tilt=angle - 90), shade((112, 148, 96), 0.9 + 0.003 * abs(angle))
        )
    canvas.fill(
        np.array(
            [
                (x - size * 0.28, foot - size * 0.4),
                (x + size * 0.28, foot - size * 0.4),
                (x + size * 0.2, foot),
                (x - size * 0.2, foot),
            ]
        ),
        (206, 122, 90),
    )


def draw_room(canvas: Canvas, aspect: float, dice: np.random.Generator) -> None:
    wall = _wall(canvas, dice, 0.8)
    side = 1 if dice.random() < 0.5 else 0
    _window(canvas, aspect * (0.08 + 0.6 * side), 0.12, 0.4, 0.42)
    for x in (0.58, 0.76):
        _picture(canvas, aspect * (x - 0.5 * side), dice.uniform(0.12, 0.24), dice.uniform(0.16, 0.24), dice)
    sofa = _WARM[int(dice.integers(len(_WARM)))]
    left, right = aspect * 0.16, aspect * 0.84
    canvas.fill(
        smooth([(left, 0.62), (left + 0.06, 0.56), (right - 0.06, 0.56), (right, 0.62), (right, 0.95), (left, 0.95)]),
        shade(sofa, 0.86),
    )
    canvas.fill(box_shape(left + 0.02, 0.76, right - 0.02, 0.92), sofa)
    for x in (left - 0.03, right - 0.09):
        canvas.fill(
            smooth([(x, 0.7), (x + 0.06, 0.66), (x + 0.12, 0.7), (x + 0.12, 0.95), (x, 0.95)]), shade(sofa, 0.78)
        )
    _plant(canvas, aspect * (0.95 - 0.9 * side), 0.9, 0.24)
    lamp = aspect * (0.06 + 0.88 * side)
    canvas.stroke(np.array([(lamp, 0.42), (lamp, 0.88)]), 0.012, (120, 100, 84))
    canvas.fill(
        np.array([(lamp - 0.06, 0.3), (lamp + 0.06, 0.3), (lamp + 0.1, 0.44), (lamp - 0.1, 0.44)]), (250, 226, 168)
    )
    canvas.glow(lamp, 0.4, 0.34, mix(wall, (255, 240, 196), 0.8), 0.6)


def draw_party(canvas: Canvas, aspect: float, dice: np.random.Generator) -> None:
    _wall(canvas, dice, 0.86)
    for string, sag in ((0.06, 0.14), (0.14, 0.2)):
        xs = np.linspace(-0.05, aspect + 0.05, 16)
        ys = string + sag * (1 - ((xs / aspect) * 2 - 1) ** 2)
        canvas.stroke(np.column_stack([xs, ys]), 0.005, (150, 120, 100))
        for place, (x, y) in enumerate(zip(xs.tolist(), ys.tolist(), strict=True)):
            canvas.fill(np.array([(x - 0.035, y), (x + 0.035, y), (x, y + 0.085)]), _WARM[place % len(_WARM)])
    for _ in range(9):
        x, y, size = aspect * dice.uniform(0, 1), dice.uniform(0.3, 0.6), dice.uniform(0.05, 0.075)
        colour = _WARM[int(dice.integers(len(_WARM)))]
        canvas.stroke(
            smooth([(x, y + size), (x + 0.02, y + 0.2), (x - 0.01, y + 0.36)], closed=False), 0.004, (170, 150, 134)
        )
        canvas.fill(ellipse(x, y, size, size * 1.2), colour)
        canvas.fill(ellipse(x - size * 0.35, y - size * 0.5, size * 0.2, size * 0.28), shade(colour, 1.5))


def draw_cafe(canvas: Canvas, aspect: float, dice: np.random.Generator) -> None:
    _wall(canvas, dice, 0.84)
    for row in (0.28, 0.48):
        canvas.fill(box_shape(aspect * 0.06, row, aspect * 0.62, row + 0.022), (150, 112, 82))
        for x in np.arange(aspect * 0.08, aspect * 0.59, 0.065).tolist():
            high, colour = dice.uniform(0.06, 0.13), _WARM[int(dice.integers(len(_WARM)))]
            canvas.fill(
                smooth([(x, row), (x, row - high), (x + 0.042, row - high), (x + 0.042, row)]), shade(colour, 0.9)
            )
    _window(canvas, aspect * 0.7, 0.1, aspect * 0.24, 0.5)
    for share in (0.2, 0.5, 0.8):
        x = aspect * share
        canvas.stroke(np.array([(x, -0.02), (x, 0.08)]), 0.006, (96, 84, 80))
        canvas.fill(ellipse(x, 0.14, 0.075, 0.07, start=180, end=360), (96, 84, 80))
        canvas.glow(x, 0.15, 0.2, (255, 240, 200), 0.8)
    canvas.fill(box_shape(-0.1, 0.72, aspect + 0.1, 1.1), (164, 122, 90))
    canvas.fill(box_shape(-0.1, 0.7, aspect + 0.1, 0.735), (198, 156, 116))


def draw_studio(canvas: Canvas, aspect: float, dice: np.random.Generator) -> None:
    colour = _WALLS[int(dice.integers(len(_WALLS)))]
    draw_gradient(canvas, 0.0, 1.0, shade(colour, 0.96), shade(colour, 0.84))
    for _ in range(26):
        spot = _WARM[int(dice.integers(len(_WARM)))]
        canvas.glow(
            aspect * dice.uniform(0, 1),
            dice.uniform(0, 1),
            dice.uniform(0.06, 0.2),
            mix(spot, (255, 250, 236), 0.5),
            0.7,
        )
    canvas.glow(aspect / 2, 0.45, 0.7, (255, 250, 238), 0.5)

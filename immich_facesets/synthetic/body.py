"""Neck, clothes, arms and legs: enough of a body to stand in a picture."""

import numpy as np

from immich_facesets.synthetic.appearance import Shirt, SubjectStyle
from immich_facesets.synthetic.canvas import Canvas, ellipse, shade, smooth
from immich_facesets.synthetic.identity_code import Colour
from immich_facesets.synthetic.subjects import Pose

_NECK = (0.0, 0.5)
_WOOL: Colour = (168, 214, 196)


def standing_height(age: float) -> float:
    """Return the distance from the middle of the face down to the ground, in head widths."""
    grown = _grown(age)
    return 0.9 + _torso_length(grown) + _leg_length(grown)


def draw_body(canvas: Canvas, look: SubjectStyle, pose: Pose) -> None:
    own = canvas.with_roll(pose.roll * 0.2, _NECK)
    grown = _grown(pose.age)
    broad = (0.62 + 0.18 * grown) * (0.92 if look.lashes else 1.06)
    long = _torso_length(grown)
    _legs(own, look, broad, 0.9 + long, _leg_length(grown))
    _arms(own, look, broad, long)
    _torso(own, look, broad, long)


def _grown(age: float) -> float:
    """Return 0 for the smallest person, 1 for an adult."""
    return min(max((age - 2) / 16, 0.0), 1.0)


def _torso_length(grown: float) -> float:
    return 1.5 + 0.6 * grown


def _leg_length(grown: float) -> float:
    return 1.2 + 0.9 * grown


def _legs(canvas: Canvas, look: SubjectStyle, broad: float, hip: float, leg_length: float) -> None:
    foot = hip + leg_length
    trousers = shade(look.second_colour, 0.62)
    canvas.glow(0.0, foot + 0.05, broad * 1.5, (70, 60, 50), 0.35)
    for side in (-1, 1):
        leg = np.array([(0.03, hip - 0.4), (broad * 0.82, hip - 0.4), (broad * 0.68, foot), (broad * 0.16, foot)])
        canvas.fill(leg * (side, 1), trousers)
        canvas.fill(ellipse(side * broad * 0.46, foot, broad * 0.36, 0.1), (74, 62, 58))


def _arms(canvas: Canvas, look: SubjectStyle, broad: float, long: float) -> None:
    elbow, wrist = 0.9 + long * 0.5, 0.9 + long * 0.86
    for side in (-1, 1):
        arm = [
            (0.62, 1.02),
            (0.8, 0.9),
            (0.97, 0.94),
            (1.09, 1.14),
            (1.2, elbow),
            (1.18, wrist),
            (0.98, wrist),
            (0.95, elbow),
        ]
        canvas.fill(ellipse(side * broad * 1.08, wrist + 0.05, 0.12, 0.14), shade(look.skin, 0.93))
        canvas.fill(smooth([(side * x * broad, y) for x, y in arm]), shade(look.shirt_colour, 0.88))


def _torso(canvas: Canvas, look: SubjectStyle, broad: float, long: float) -> None:
    low = 0.9 + long
    canvas.fill(np.array([(-0.2, 0.4), (0.2, 0.4), (0.22, 0.85), (-0.22, 0.85)]), shade(look.skin, 0.8))
    half = [
        (0.2, 0.7),
        (broad * 0.68, 0.79),
        (broad * 0.95, 0.93),
        (broad, 1.2),
        (broad * 0.97, 1.7),
        (broad * 0.92, low - 0.15),
        (broad * 0.8, low),
    ]
    outline = smooth([*half, *[(-x, y) for x, y in reversed(half)]])
    canvas.fill(outline, look.shirt_colour)
    stripe = look.second_colour
    match look.shirt:
        case Shirt.STRIPED:
            for y in np.arange(1.08, low - 0.1, 0.26).tolist():
                canvas.stroke(np.array([(-broad * 0.93, y), (broad * 0.93, y)]), 0.09, stripe)
        case Shirt.DUNGAREES:
            canvas.fill(
                np.array([(-broad * 0.6, 1.3), (broad * 0.6, 1.3), (broad * 0.86, low), (-broad * 0.86, low)]), stripe
            )
            for side in (-1, 1):
                canvas.stroke(np.array([(side * broad * 0.5, 0.8), (side * broad * 0.52, 1.36)]), 0.11, stripe)
                canvas.fill(ellipse(side * broad * 0.52, 1.38, 0.035, 0.035), (232, 190, 92))
        case Shirt.PLAIN | Shirt.COLLAR | Shirt.V_NECK:
            pass
    _folds(canvas, look, broad, low)
    _neckline(canvas, look)


def _folds(canvas: Canvas, look: SubjectStyle, broad: float, low: float) -> None:
    """Draw soft shadows under the chin and the arms."""
    dark = shade(look.shirt_colour, 0.7)
    canvas.glow(0.0, 0.72, 0.42, dark, 0.35)
    for side in (-1, 1):
        canvas.stroke(
            smooth([(side * broad * 0.86, low - 0.5), (side * broad * 0.7, low - 0.36)], closed=False),
            0.016,
            shade(look.shirt_colour, 0.86),
        )


def _neckline(canvas: Canvas, look: SubjectStyle) -> None:
    match look.shirt:
        case Shirt.V_NECK:
            canvas.fill(np.array([(-0.21, 0.68), (0.21, 0.68), (0.0, 1.0)]), shade(look.skin, 0.88))
        case Shirt.COLLAR:
            canvas.fill(np.array([(-0.12, 0.68), (0.12, 0.68), (0.0, 0.86)]), shade(look.skin, 0.88))
            for side in (-1, 1):
                canvas.fill(
                    np.array([(side * 0.24, 0.66), (side * 0.02, 0.84), (side * 0.2, 0.98), (side * 0.32, 0.76)]),
                    shade(look.shirt_colour, 1.25),
                )
        case Shirt.PLAIN | Shirt.STRIPED | Shirt.DUNGAREES:
            canvas.fill(ellipse(0.0, 0.7, 0.23, 0.11), shade(look.skin, 0.88))


def draw_muffler(canvas: Canvas) -> None:
    """Draw a muffler around neck, chin and mouth, up to below the nose."""
    end = [(0.2, 0.8), (0.46, 0.78), (0.52, 1.5), (0.24, 1.52)]
    canvas.fill(smooth(end), shade(_WOOL, 0.9))
    for y in (1.3, 1.4):
        canvas.stroke(np.array([(0.25, y), (0.5, y - 0.01)]), 0.03, (236, 226, 206))
    half = [(0.3, 0.27), (0.5, 0.2), (0.57, 0.34), (0.58, 0.62), (0.52, 0.86), (0.3, 0.98)]
    around = [(0.0, 0.3), *half, (0.0, 1.02), *[(-x, y) for x, y in reversed(half)]]
    canvas.fill(smooth(around), _WOOL)
    for top, low in ((0.3, 0.5), (0.5, 0.7), (0.68, 0.86)):
        fold = [(-0.54, top), (-0.2, low - 0.02), (0.15, low), (0.54, top + 0.04)]
        canvas.stroke(smooth(fold, closed=False), 0.018, shade(_WOOL, 0.88))

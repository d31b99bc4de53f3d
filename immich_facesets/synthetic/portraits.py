"""Drawing of one sitter, from the back hair to the glasses."""

import math

import numpy as np

from immich_facesets.synthetic import head_geometry
from immich_facesets.synthetic.appearance import SubjectStyle, dressed
from immich_facesets.synthetic.body import draw_body, draw_muffler
from immich_facesets.synthetic.canvas import Canvas, Outline, ellipse, mix, shade, smooth
from immich_facesets.synthetic.hair import draw_back_hair, draw_beard, draw_front_hair
from immich_facesets.synthetic.head_geometry import turned
from immich_facesets.synthetic.headwear import draw_headwear
from immich_facesets.synthetic.identity_code import WHITE, Colour
from immich_facesets.synthetic.subjects import Pose, Sitter

_INK: Colour = (56, 42, 42)
_CHILD = 14


def draw_sitter(canvas: Canvas, sitter: Sitter, pose: Pose) -> None:
    look = dressed(sitter, math.floor(max(pose.age, 0.0) * 365.25))
    draw_back_hair(canvas, look, pose)
    draw_body(canvas, look, pose)
    _head(canvas, look, pose)
    _eyes(canvas, look, pose)
    _nose(canvas, look, pose)
    if pose.age >= _CHILD + 4:
        draw_beard(canvas, look, pose)
    _mouth(canvas, look, pose)
    _years(canvas, look, pose)
    if pose.has_muffler:
        draw_muffler(canvas)
    draw_front_hair(canvas, look, pose)
    _brows(canvas, look, pose)
    draw_headwear(canvas, look, pose, sitter)
    if look.glasses is not None and pose.age >= _CHILD:
        _glasses(canvas, look, pose, round_ones=look.glasses)


def head_outline(look: SubjectStyle, age: float) -> Outline:
    """Draw the head so that it fills its box: crown, cheeks and chin touch it."""
    jaw = look.jaw * min(max((age - 8) / 14, 0.0), 1.0)
    side = [
        (0.5, -0.05),
        (0.485, 0.15),
        (0.42 + 0.035 * jaw, 0.345),
        (0.27 + 0.06 * jaw, 0.52),
        (0.11 + 0.03 * jaw, 0.592),
    ]
    top = [(0.28, -0.52), (0.45, -0.28)]
    right = [*top, *side]
    left = [(-x, y) for x, y in reversed(right)]
    return smooth([(0.0, -0.6), *right, (0.0, 0.6), *left])


def _head(canvas: Canvas, look: SubjectStyle, pose: Pose) -> None:
    lean = turned(0.0, 0.5, pose.yaw) * 0.15
    for side in (-1, 1):
        x = side * 0.5 - lean * 0.8
        canvas.fill(ellipse(x, 0.08, 0.075, 0.115), shade(look.skin, 0.93))
        canvas.fill(ellipse(x + side * 0.008, 0.085, 0.035, 0.065), shade(look.skin, 0.8))
        if look.earrings:
            canvas.fill(ellipse(x + side * 0.015, 0.215, 0.028, 0.034), (232, 190, 92))
    outline = head_outline(look, pose.age)
    canvas.fill(outline, shade(look.skin, 0.88))
    canvas.fill(outline * (0.965, 0.985) + (-0.014, -0.008), look.skin)
    for side in (-1, 1):
        x = turned(side * 0.3, 0.5, pose.yaw)
        canvas.glow(x, 0.25, 0.16, _rosy(look.skin), 0.6)
    canvas.glow(-0.1 + lean, -0.1, 0.5, shade(look.skin, 1.35), 0.35)
    if look.freckles:
        _freckles(canvas, look, pose)


def _freckles(canvas: Canvas, look: SubjectStyle, pose: Pose) -> None:
    for x, y in (
        (-0.34, 0.25),
        (-0.29, 0.22),
        (-0.25, 0.26),
        (-0.3, 0.28),
        (0.34, 0.25),
        (0.29, 0.22),
        (0.25, 0.26),
        (0.3, 0.28),
    ):
        canvas.fill(ellipse(turned(x, 0.5, pose.yaw), y, 0.011, 0.011), shade(look.skin, 0.72))


def _eyes(canvas: Canvas, look: SubjectStyle, pose: Pose) -> None:
    for side in (-1, 1):
        x, y = turned(side * head_geometry.EYE_X, head_geometry.EYE_RADIUS, pose.yaw), head_geometry.EYE_Y
        rx, ry = head_geometry.SCLERA
        canvas.fill(ellipse(x, y, rx, ry), WHITE)
        canvas.fill(ellipse(x, y, head_geometry.IRIS, head_geometry.IRIS), shade(look.iris, 0.9))
        canvas.fill(ellipse(x, y + 0.01, head_geometry.IRIS * 0.86, head_geometry.IRIS * 0.84), look.iris)
        canvas.fill(ellipse(x, y, 0.05, 0.05), (16, 16, 58))
        canvas.fill(ellipse(x - 0.03, y - 0.034, 0.022, 0.022), (255, 255, 255))
        canvas.fill(ellipse(x + 0.03, y + 0.036, 0.01, 0.01), (255, 255, 255))
        _lids(canvas, look, pose, x, side)


def _lids(canvas: Canvas, look: SubjectStyle, pose: Pose, x: float, side: int) -> None:
    """Draw lids that touch the iris and never cover it; laughing lifts the lower one."""
    y, (rx, ry) = head_geometry.EYE_Y, head_geometry.SCLERA
    wide, tired = rx + 0.012, min(max(pose.age - 40, 0.0), 40.0) / 4000
    edge = ellipse(x, y + 0.03 + tired, wide, 0.132, start=186, end=354)
    over = ellipse(x, y, wide, ry + 0.012, start=350, end=190)
    canvas.fill(np.vstack([edge, over]), shade(look.skin, 0.9))
    if pose.expression > 0.3:
        rise = 0.03 * min(pose.expression, 1.0)
        low = ellipse(x, y - 0.01 - rise, wide, 0.13, start=12, end=168)
        canvas.fill(np.vstack([low, ellipse(x, y, wide, ry + 0.012, start=170, end=10)]), shade(look.skin, 0.96))
    canvas.stroke(edge, 0.028 if look.lashes else 0.021, _INK)
    if look.lashes:
        for lift in (0.0, 0.045):
            root = (x + side * (wide - 0.005 - lift * 0.5), y + 0.012 - lift)
            canvas.stroke(np.array([root, (root[0] + side * 0.05, root[1] - 0.035 - lift * 0.4)]), 0.018, _INK)


def _brows(canvas: Canvas, look: SubjectStyle, pose: Pose) -> None:
    colour = shade(look.hair_at(pose.age), 0.8)
    lift = 0.02 * pose.expression
    for side in (-1, 1):
        points = [
            (turned(side * 0.1, head_geometry.EYE_RADIUS, pose.yaw), -0.135 - lift + 0.035 * min(pose.expression, 0.0)),
            (turned(side * 0.22, head_geometry.EYE_RADIUS, pose.yaw), -0.172 - lift),
            (turned(side * 0.33, head_geometry.EYE_RADIUS, pose.yaw), -0.125 - lift - 0.02 * min(pose.expression, 0.0)),
        ]
        canvas.stroke(smooth(points, closed=False), look.brow, colour)


def _rosy(skin: Colour) -> Colour:
    """Return a redder skin colour, for light and dark skin alike."""
    return min(255, round(skin[0] * 1.04)), round(skin[1] * 0.74), round(skin[2] * 0.74)


def _nose(canvas: Canvas, look: SubjectStyle, pose: Pose) -> None:
    tip, root = turned(0.0, head_geometry.NOSE_RADIUS, pose.yaw), turned(0.0, 0.56, pose.yaw)
    y = head_geometry.NOSE_Y
    bridge = [(root - 0.02, 0.1), (root + 0.02, 0.1), (tip + 0.07, y + 0.02), (tip - 0.07, y + 0.02)]
    canvas.fill(smooth(bridge), shade(look.skin, 0.95))
    rosy = _rosy(look.skin)
    canvas.fill(ellipse(tip, y + 0.008, 0.078, 0.058), shade(rosy, 0.86))
    canvas.fill(ellipse(tip, y, 0.074, 0.053), rosy)
    canvas.fill(ellipse(tip - 0.022, y - 0.018, 0.022, 0.014), shade(rosy, 1.3))


def _mouth(canvas: Canvas, look: SubjectStyle, pose: Pose) -> None:
    middle, y = turned(0.0, head_geometry.MOUTH_RADIUS, pose.yaw), head_geometry.MOUTH_Y
    mood = pose.expression
    half = 0.125 + 0.045 * max(mood, 0.0)
    bend = 0.055 * mood
    lip = mix(look.skin, (186, 34, 58), 0.85 if look.lashes else 0.72)
    upper = _bowed(middle, half, y - bend, y + bend)
    if mood <= 0.55:
        canvas.stroke(upper, 0.042, lip)
        return
    opening = np.vstack([upper, _bowed(middle, half, y - bend, y + bend + 0.09 + 0.1 * (mood - 0.55))[::-1]])
    canvas.fill(opening, (122, 30, 44))
    teeth = _bowed(middle, half * 0.93, y - bend * 0.8, y + bend + 0.045)
    canvas.fill(np.vstack([upper[2:-2], teeth[::-1]]), (250, 246, 240))
    canvas.stroke(opening, 0.024, lip, closed=True)


def _bowed(middle: float, half: float, ends: float, low: float) -> Outline:
    """Return a line that hangs in a bow from its ends, flatter than a parabola."""
    x = np.linspace(-1, 1, 24)
    return np.column_stack([middle + half * x, ends + (low - ends) * (1 - np.abs(x) ** 2.3)])


def _years(canvas: Canvas, look: SubjectStyle, pose: Pose) -> None:
    """Draw lines beside the eyes and the mouth, deeper with every decade from fifty on."""
    if pose.age < 48:
        return
    ink = shade(look.skin, 0.84 - 0.003 * min(pose.age - 48, 40))
    for side in (-1, 1):
        x = turned(side * 0.2, head_geometry.EYE_RADIUS, pose.yaw)
        canvas.stroke(ellipse(x, head_geometry.EYE_Y + 0.03, 0.15, 0.16, start=50, end=130), 0.013, ink)
        fold = turned(side * 0.2, head_geometry.MOUTH_RADIUS, pose.yaw)
        canvas.stroke(
            ellipse(fold - side * 0.06, 0.36, 0.075, 0.13, start=-60 if side > 0 else 240, end=40 if side > 0 else 140),
            0.014,
            ink,
        )


def _glasses(canvas: Canvas, look: SubjectStyle, pose: Pose, *, round_ones: bool) -> None:
    y = head_geometry.EYE_Y + 0.005
    xs = [turned(side * head_geometry.EYE_X, head_geometry.EYE_RADIUS, pose.yaw) for side in (-1, 1)]
    for side, x in zip((-1, 1), xs, strict=True):
        rim = ellipse(x, y, 0.172, 0.17) if round_ones else _rounded(x, y, 0.178, 0.158)
        canvas.stroke(rim, 0.024, look.frame, closed=True)
        canvas.stroke(np.array([(x + side * 0.175, y - 0.03), (side * 0.5, y - 0.02)]), 0.022, look.frame)
    canvas.stroke(
        ellipse((xs[0] + xs[1]) / 2, y, (xs[1] - xs[0]) / 2 - 0.17, 0.03, start=180, end=360), 0.024, look.frame
    )


def _rounded(x: float, y: float, rx: float, ry: float) -> Outline:
    turn = np.radians(np.linspace(0, 360, 60))
    cos, sin = np.cos(turn), np.sin(turn)
    return np.column_stack([x + rx * np.sign(cos) * np.abs(cos) ** 0.45, y + ry * np.sign(sin) * np.abs(sin) ** 0.45])

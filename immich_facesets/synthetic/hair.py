"""Hair and beards: the hair behind the head, and the hair on it."""

import numpy as np

from immich_facesets.synthetic.appearance import Beard, Hair, SubjectStyle
from immich_facesets.synthetic.canvas import Canvas, ellipse, mix, shade, smooth
from immich_facesets.synthetic.head_geometry import MOUTH_RADIUS, MOUTH_Y, turned
from immich_facesets.synthetic.subjects import Pose


def draw_back_hair(canvas: Canvas, look: SubjectStyle, pose: Pose) -> None:
    """Draw the hair behind neck and shoulders."""
    colour = look.hair_at(pose.age)
    dark = shade(colour, 0.82)
    lag = -turned(0.0, 0.5, pose.yaw) * 0.3
    match look.hair:
        case Hair.LONG:
            canvas.fill(
                smooth(
                    [
                        (lag, -0.68),
                        (0.5, -0.5),
                        (0.6, 0.0),
                        (0.62, 0.6),
                        (0.56, 1.05),
                        (-0.56, 1.05),
                        (-0.62, 0.6),
                        (-0.6, 0.0),
                        (-0.5, -0.5),
                    ]
                ),
                dark,
            )
        case Hair.WAVY:
            waves = [(0.6, -0.1), (0.68, 0.12), (0.6, 0.32), (0.7, 0.52), (0.6, 0.74), (0.62, 0.92), (0.4, 0.95)]
            canvas.fill(
                smooth([(lag, -0.7), (0.48, -0.52), *waves, *[(-x, y) for x, y in reversed(waves)], (-0.48, -0.52)]),
                dark,
            )
        case Hair.BOB:
            canvas.fill(
                smooth(
                    [
                        (lag, -0.68),
                        (0.48, -0.52),
                        (0.6, -0.1),
                        (0.62, 0.35),
                        (0.5, 0.56),
                        (-0.5, 0.56),
                        (-0.62, 0.35),
                        (-0.6, -0.1),
                        (-0.48, -0.52),
                    ]
                ),
                dark,
            )
        case Hair.CURLY:
            for angle in range(130, 411, 20):
                turn = np.radians(angle)
                canvas.fill(
                    ellipse(lag + 0.54 * float(np.cos(turn)), -0.2 + 0.54 * float(np.sin(turn)), 0.17, 0.17), dark
                )
        case Hair.BUN:
            canvas.fill(ellipse(lag, -0.79, 0.2, 0.17), dark)
            canvas.fill(ellipse(lag - 0.02, -0.81, 0.16, 0.125), colour)
        case Hair.PIGTAILS:
            for side in (-1, 1):
                tail = [(0.5, 0.1), (0.66, 0.16), (0.76, 0.4), (0.7, 0.72), (0.62, 0.76), (0.56, 0.5)]
                canvas.fill(smooth([(side * x + lag, y) for x, y in tail]), dark)
                canvas.fill(ellipse(side * 0.57 + lag, 0.16, 0.06, 0.05), look.second_colour)
        case Hair.SHORT | Hair.SIDE | Hair.SPIKY | Hair.BALD:
            pass


def draw_front_hair(canvas: Canvas, look: SubjectStyle, pose: Pose) -> None:
    """Draw the crown above the band and the temples beside the face; the band is drawn over it."""
    colour = look.hair_at(pose.age)
    if look.hair is Hair.BALD:
        colour = mix(look.skin, colour, 0.25)
    crown = 0.62 if look.hair is Hair.BALD else 0.67
    canvas.fill(
        smooth(
            [
                (0.0, -crown),
                (0.3, -crown + 0.08),
                (0.45, -0.42),
                (0.46, -0.32),
                (-0.46, -0.32),
                (-0.45, -0.42),
                (-0.3, -crown + 0.08),
            ]
        ),
        colour,
    )
    match look.hair:
        case Hair.SPIKY:
            for x in (-0.34, -0.2, -0.06, 0.08, 0.22, 0.36):
                lift = 0.2 - abs(x) * 0.25
                canvas.fill(np.array([(x - 0.11, -0.5), (x + 0.02, -0.6 - lift), (x + 0.12, -0.5)]), colour)
        case Hair.SIDE:
            canvas.fill(
                smooth([(-0.4, -0.5), (-0.2, -0.74), (0.2, -0.78), (0.5, -0.6), (0.53, -0.35), (0.2, -0.45)]), colour
            )
            canvas.stroke(smooth([(-0.25, -0.62), (0.1, -0.7), (0.4, -0.58)], closed=False), 0.02, shade(colour, 1.15))
        case Hair.CURLY:
            for angle in range(190, 351, 20):
                turn = np.radians(angle)
                canvas.fill(ellipse(0.42 * float(np.cos(turn)), -0.33 + 0.36 * float(np.sin(turn)), 0.13, 0.13), colour)
        case _:
            pass
    if look.hair is not Hair.BALD:
        canvas.stroke(smooth([(-0.28, -0.57), (-0.05, -0.63), (0.15, -0.61)], closed=False), 0.018, shade(colour, 1.16))
        _temples(canvas, look, pose)


def _temples(canvas: Canvas, look: SubjectStyle, pose: Pose) -> None:
    colour = look.hair_at(pose.age)
    low = {Hair.LONG: 0.62, Hair.WAVY: 0.5, Hair.BOB: 0.42, Hair.PIGTAILS: 0.1}.get(look.hair, 0.02)
    wide = look.hair in {Hair.LONG, Hair.WAVY, Hair.BOB}
    lag = -turned(0.0, 0.5, pose.yaw) * 0.2
    for side in (-1, 1):
        outer = 0.58 if wide else 0.505
        strand = [
            (0.44, -0.26),
            (outer, -0.26),
            (outer + 0.02, low * 0.5),
            (outer - 0.03, low),
            (0.455, low * 0.4),
            (0.42, -0.14),
        ]
        canvas.fill(smooth([(side * x + lag, y) for x, y in strand]), colour)


def draw_beard(canvas: Canvas, look: SubjectStyle, pose: Pose) -> None:
    colour = shade(look.hair_at(pose.age), 0.92)
    middle = turned(0.0, MOUTH_RADIUS, pose.yaw)
    lag = middle * 0.5
    full = [
        (0.47, 0.12),
        (0.475, 0.28),
        (0.4, 0.47),
        (0.25, 0.6),
        (0.0, 0.66),
        (-0.25, 0.6),
        (-0.4, 0.47),
        (-0.475, 0.28),
        (-0.47, 0.12),
    ]
    inner = [(-0.4, 0.22), (-0.27, 0.3), (0.0, 0.275), (0.27, 0.3), (0.4, 0.22)]
    match look.beard:
        case Beard.FULL:
            canvas.fill(smooth([*full, *[(x + lag, y) for x, y in inner]]), colour)
            _lip_room(canvas, look, middle)
        case Beard.STUBBLE:
            canvas.fill(
                smooth([*[(x * 0.985, y * 0.96) for x, y in full], *[(x + lag, y) for x, y in inner]]),
                mix(look.skin, colour, 0.32),
            )
            _lip_room(canvas, look, middle)
        case Beard.GOATEE:
            canvas.fill(
                smooth(
                    [
                        (middle + x, y)
                        for x, y in ((-0.13, 0.47), (0.0, 0.45), (0.13, 0.47), (0.1, 0.6), (0.0, 0.65), (-0.1, 0.6))
                    ]
                ),
                colour,
            )
        case Beard.MOUSTACHE:
            half = [(0.0, 0.27), (0.12, 0.275), (0.22, 0.33), (0.2, 0.35), (0.1, 0.325), (0.0, 0.32)]
            canvas.fill(
                smooth([*[(middle + x, y) for x, y in half], *[(middle - x, y) for x, y in reversed(half)]]), colour
            )
        case Beard.NONE:
            pass


def _lip_room(canvas: Canvas, look: SubjectStyle, middle: float) -> None:
    canvas.fill(ellipse(middle, MOUTH_Y + 0.01, 0.19, 0.075), look.skin)

"""A canvas in head coordinates: smooth, anti-aliased shapes on pixels, at any size and roll."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from immich_facesets.faces import Point
from immich_facesets.synthetic.head_geometry import Frame
from immich_facesets.synthetic.identity_code import Colour

Outline = NDArray[np.float64]
"""Points of a closed or open line, (n, 2), in head widths."""

_SHIFT = 4  # binary digits of a pixel that OpenCV's drawing keeps


def ellipse(
    x: float, y: float, rx: float, ry: float, *, tilt: float = 0.0, start: float = 0.0, end: float = 360.0
) -> Outline:
    """Return an ellipse or, from ``start`` to ``end`` degrees (0 is right, 90 is down), an arc of one."""
    turn = np.radians(np.linspace(start, end, 48))
    points = np.column_stack([rx * np.cos(turn), ry * np.sin(turn)])
    cos, sin = math.cos(math.radians(tilt)), math.sin(math.radians(tilt))
    return np.asarray(points @ np.array([[cos, sin], [-sin, cos]]) + (x, y), dtype=np.float64)


def smooth(points: Sequence[Point], *, closed: bool = True, steps: int = 8) -> Outline:
    """Return a Catmull-Rom curve through the points."""
    knots = np.array(points, dtype=np.float64)
    around = np.vstack([knots[-1:], knots, knots[:2]]) if closed else np.vstack([knots[:1], knots, knots[-1:]])
    t = (np.arange(steps) / steps)[None, :, None]
    a, b, c, d = (around[i : len(around) - 3 + i, None, :] for i in range(4))
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    flat = curve.reshape(-1, 2)
    return flat if closed else np.vstack([flat, knots[-1:]])


def shade(colour: Colour, factor: float) -> Colour:
    """Return a darker (below 1) or lighter (above 1) tone."""
    if factor <= 1:
        return mix(colour, (colour[0] // 8, colour[1] // 10, colour[2] // 8), 1 - factor)
    return mix(colour, (255, 255, 255), factor - 1)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Return a mixture; ``share`` 0 is the first colour, 1 the second."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def light_tint(light: float) -> tuple[float, float, float]:
    """Return the tint of white in a light from -1 (blue dusk) to 1 (evening sun)."""
    far = (0.65, 0.69, 0.77) if light < 0 else (1.05, 0.98, 0.86)
    share = min(abs(light), 1.0)
    return 1 + (far[0] - 1) * share, 1 + (far[1] - 1) * share, 1 + (far[2] - 1) * share


@dataclass(frozen=True)
class Canvas:
    """Pixels (h, w, 3) that are drawn on in place; ``frame`` is the location of the head in them."""

    pixels: NDArray[np.uint8]
    frame: Frame
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def with_roll(self, roll: float, pivot: Point) -> "Canvas":
        """Return the same pixels for a part that hangs at ``pivot`` and has its own roll."""
        x, y = self.frame.place(pivot)
        own = Frame(0.0, 0.0, self.frame.width, roll).place(pivot)
        return Canvas(self.pixels, Frame(x - own[0], y - own[1], self.frame.width, roll), self.tint)

    def fill(self, outline: Outline, colour: Colour) -> None:
        cv2.fillPoly(self.pixels, [self._fixed(outline)], self._lit(colour), cv2.LINE_AA, _SHIFT)

    def stroke(self, line: Outline, width: float, colour: Colour, *, closed: bool = False) -> None:
        """Draw a line with round ends, ``width`` in head widths."""
        thickness = max(1, round(width * self.frame.width))
        cv2.polylines(self.pixels, [self._fixed(line)], closed, self._lit(colour), thickness, cv2.LINE_AA, _SHIFT)

    def glow(self, x: float, y: float, radius: float, colour: Colour, strength: float) -> None:
        """Draw a soft round spot that fades to nothing at ``radius``."""
        centre = self.frame.place((x, y))
        reach = radius * self.frame.width
        height, width = self.pixels.shape[:2]
        left, right = max(0, int(centre[0] - reach)), min(width, int(centre[0] + reach) + 1)
        top, bottom = max(0, int(centre[1] - reach)), min(height, int(centre[1] + reach) + 1)
        if left >= right or top >= bottom:
            return
        across = (np.arange(left, right, dtype=np.float32) - np.float32(centre[0])) / np.float32(reach)
        down = (np.arange(top, bottom, dtype=np.float32) - np.float32(centre[1])) / np.float32(reach)
        nearness = np.maximum(1 - (down[:, None] ** 2 + across[None, :] ** 2), 0)
        alpha = np.float32(strength) * nearness * nearness
        part = self.pixels[top:bottom, left:right]
        spot = np.empty_like(part)
        spot[:] = self._lit(colour)
        part[:] = cv2.blendLinear(np.ascontiguousarray(part), spot, 1 - alpha, alpha)

    def _lit(self, colour: Colour) -> tuple[int, int, int]:
        red, green, blue = (min(255, round(part * factor)) for part, factor in zip(colour, self.tint, strict=True))
        return red, green, blue

    def _fixed(self, outline: Outline) -> NDArray[np.int32]:
        cos, sin = math.cos(math.radians(self.frame.roll)), math.sin(math.radians(self.frame.roll))
        points = self.frame.width * (outline @ np.array([[cos, sin], [-sin, cos]])) + (self.frame.x, self.frame.y)
        return np.asarray(np.round(points * (1 << _SHIFT)), dtype=np.int32)

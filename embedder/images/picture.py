"""A decoded picture, whole or reduced, and the way between its pixels and those of the upright original."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from embedder.engine import Detection, Pixels
from embedder.images.colour import upright
from immich_facesets.faces import Box

Allow = Callable[[int, int], float]
"""How many times a picture of this upright width and height may be reduced, by what is asked of it."""

_MIRRORED_ACROSS = {2, 3, 6, 7}
_MIRRORED_DOWN = {3, 4, 7, 8}


def whole(_width: int, _height: int) -> float:
    """Every pixel is needed."""
    return 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """
    An upright picture in sRGB: ``pixels`` (height / reduction, width / reduction, 3) RGB.

    ``width`` and ``height`` are the upright original's. Column u of the pixels shows the original's columns from
    ``left + u * reduction`` on; ``left`` and ``top`` are below 0 where a side that the reduction does not divide was
    turned around: its last, incomplete pixel came to the beginning. ``orientation`` (EXIF, 1 to 8) is what was undone,
    None where another rule than EXIF's turned it.
    """

    pixels: Pixels
    width: int
    height: int
    reduction: int = 1
    left: int = 0
    top: int = 0
    orientation: int | None = 1

    @classmethod
    def whole(cls, pixels: Pixels, orientation: int | None = 1) -> Self:
        return cls(pixels, int(pixels.shape[1]), int(pixels.shape[0]), orientation=orientation)

    @classmethod
    def of_jpeg(cls, stored: Pixels, size: tuple[int, int], orientation: int, reduction: int) -> Self:
        """From pixels as they are stored, of a JPEG of this size as stored."""
        width, height = size if orientation < 5 else size[::-1]
        pixels = upright(stored, orientation)
        left = width - int(pixels.shape[1]) * reduction if orientation in _MIRRORED_ACROSS else 0
        top = height - int(pixels.shape[0]) * reduction if orientation in _MIRRORED_DOWN else 0
        return cls(pixels, width, height, reduction, left, top, orientation)

    def inside(self, box: Box) -> Box:
        """A box of the original in the pixels at hand."""
        return Box(*self._inside(box.x1, box.y1), *self._inside(box.x2, box.y2))

    def outside_box(self, box: Box) -> Box:
        """A box of the pixels at hand in the original."""
        return Box(*self._outside(box.x1, box.y1), *self._outside(box.x2, box.y2))

    def outside(self, detection: Detection) -> Detection:
        """A face found in the pixels at hand, in the original."""
        a, b, c, d, e = (self._outside(x, y) for x, y in detection.landmarks)
        return dataclasses.replace(detection, box=self.outside_box(detection.box), landmarks=(a, b, c, d, e))

    def at_hand(self, detection: Detection) -> Detection:
        """A face found in the original, in the pixels at hand."""
        a, b, c, d, e = (self._inside(x, y) for x, y in detection.landmarks)
        return dataclasses.replace(detection, box=self.inside(detection.box), landmarks=(a, b, c, d, e))

    def sampled(self, detection: Detection) -> Detection:
        """
        A face found in the pixels at hand, its points where the same samples of the original lie.

        Detectors count from a pixel's corner, sampling from its centre: with pixels that are ``reduction`` wide, these
        are half a pixel less half an original one apart.
        """
        shift = (1 - 1 / self.reduction) / 2
        a, b, c, d, e = ((x - shift, y - shift) for x, y in detection.landmarks)
        return detection if shift == 0 else dataclasses.replace(detection, landmarks=(a, b, c, d, e))

    def _inside(self, x: float, y: float) -> tuple[float, float]:
        return (x - self.left) / self.reduction, (y - self.top) / self.reduction

    def _outside(self, x: float, y: float) -> tuple[float, float]:
        return x * self.reduction + self.left, y * self.reduction + self.top

"""A decoded picture, whole or reduced, and the way between its pixels and those of the upright original."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from embedder.engine import Detection, Pixels
from embedder.images.colour import upright
from immich_facesets.faces import Box

Allow = Callable[[int, int], float]
"""Returns by what factor a picture of this upright width and height may be reduced for a request."""

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
    ``left + u * reduction`` on. ``left`` and ``top`` are below 0 where a side that the reduction does not divide was
    reversed: its last, incomplete pixel is now the first. ``orientation`` (EXIF, 1 to 8) is the one that was undone,
    None where another rule than EXIF's turned the picture.
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
        """Map a box of the original to the decoded pixels."""
        return Box(*self._inside(box.x1, box.y1), *self._inside(box.x2, box.y2))

    def outside_box(self, box: Box) -> Box:
        """Map a box of the decoded pixels to the original."""
        return Box(*self._outside(box.x1, box.y1), *self._outside(box.x2, box.y2))

    def outside(self, detection: Detection) -> Detection:
        """Map a face found in the decoded pixels to the original."""
        a, b, c, d, e = (self._outside(x, y) for x, y in detection.landmarks)
        return dataclasses.replace(detection, box=self.outside_box(detection.box), landmarks=(a, b, c, d, e))

    def at_hand(self, detection: Detection) -> Detection:
        """Map a face of the original to the decoded pixels."""
        a, b, c, d, e = (self._inside(x, y) for x, y in detection.landmarks)
        return dataclasses.replace(detection, box=self.inside(detection.box), landmarks=(a, b, c, d, e))

    def sampled(self, detection: Detection) -> Detection:
        """
        Move the points of a face found in the decoded pixels to where the same samples of the original lie.

        Detectors count from a pixel's corner, but sampling counts from its centre. With pixels that are ``reduction``
        wide, the two differ by half a pixel minus half an original pixel.
        """
        shift = (1 - 1 / self.reduction) / 2
        a, b, c, d, e = ((x - shift, y - shift) for x, y in detection.landmarks)
        return detection if shift == 0 else dataclasses.replace(detection, landmarks=(a, b, c, d, e))

    def _inside(self, x: float, y: float) -> tuple[float, float]:
        return (x - self.left) / self.reduction, (y - self.top) / self.reduction

    def _outside(self, x: float, y: float) -> tuple[float, float]:
        return x * self.reduction + self.left, y * self.reduction + self.top

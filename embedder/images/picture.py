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

AROUND_BOX = 0.25
"""The margin around a box, in sides of the box, that an aligned face reaches into."""

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
    whole_area: Box | None = None
    """The part of the original that its file holds, None for all of it. The pixels beside it are invented."""

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

    def cut_off(self, rows: int) -> Self:
        """Return the picture of a file that holds only the first ``rows``, as they are stored."""
        is_turned, width, height = (self.orientation or 1) >= 5, self.width, self.height
        if is_turned:
            left = width - rows if self.orientation in _MIRRORED_ACROSS else 0
            area = Box(left, 0, left + rows, height)
        else:
            top = height - rows if self.orientation in _MIRRORED_DOWN else 0
            area = Box(0, top, width, top + rows)
        return self if area.area == width * height else dataclasses.replace(self, whole_area=area)

    @property
    def missing(self) -> float:
        """The share of the picture that its file does not hold."""
        return 0.0 if self.whole_area is None else 1 - self.whole_area.area / (self.width * self.height)

    def holds(self, detection: Detection) -> bool:
        """Return whether the file holds a face found in the decoded pixels, with what alignment takes around its box."""
        if self.whole_area is None:
            return True
        box, area = self.outside_box(detection.box), self.whole_area
        margin = AROUND_BOX * max(box.width, box.height)
        across = (area.x1 == 0 or box.x1 - margin >= area.x1) and (area.x2 == self.width or box.x2 + margin <= area.x2)
        down = (area.y1 == 0 or box.y1 - margin >= area.y1) and (area.y2 == self.height or box.y2 + margin <= area.y2)
        return across and down

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

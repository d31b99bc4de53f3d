"""
Measures from dense landmarks of a face: the symmetry of its halves, and the opening of eyes and mouth.

Two orders of points are supported: the 68 of iBUG (Sagonas et al., *300 faces in-the-wild*, 2013) and the 106 of
insightface's ``2d106det``. Points are (n, 2) or (n, 3), of which only x and y are used, in upright pixels. Position,
size and roll of the head do not matter.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from immich_facesets.quality.pose import Pose

Points = NDArray[np.float64] | NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Enriched:
    """
    The results of further models for one face, in upright original pixels.

    Each is None where there is no such model, or it found nothing. ``of_106``: (106, 2). ``of_68``: (68, 3), depth NaN
    where the model provides none. ``pose``: as in ``Measures``.
    """

    of_106: Points | None = None
    of_68: Points | None = None
    pose: Pose | None = None


NOTHING_FOUND = Enriched()


@dataclass(frozen=True, slots=True)
class Markup:
    """
    The meaning of the points of one order, as indices.

    ``pairs``: (left, right) in the picture. ``midline``: points between the halves. ``eyes``: for each eye, its two
    corners and its (upper, lower) lid points. ``mouth``: the same for the inner lips.
    """

    pairs: tuple[tuple[int, int], ...]
    midline: tuple[int, ...]
    eyes: tuple[tuple[tuple[int, int], tuple[tuple[int, int], ...]], ...]
    mouth: tuple[tuple[int, int], tuple[tuple[int, int], ...]]


# fmt: off
MARKUPS: Mapping[int, Markup] = MappingProxyType({
    68: Markup(
        pairs=((36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46), (31, 35), (32, 34), (48, 54), (49, 53), (50, 52), (59, 55), (58, 56), (60, 64)),
        midline=(27, 28, 29, 33, 51, 62, 66, 57, 8),
        eyes=(((36, 39), ((37, 41), (38, 40))), ((42, 45), ((43, 47), (44, 46)))),
        mouth=((60, 64), ((61, 67), (62, 66), (63, 65))),
    ),
    106: Markup(
        pairs=((35, 93), (41, 96), (40, 94), (42, 95), (39, 89), (37, 90), (33, 87), (36, 91), (78, 84), (79, 85), (52, 61), (64, 68), (63, 67), (55, 58), (56, 59), (65, 69)),
        midline=(72, 73, 74, 80, 71, 62, 60, 53, 0),
        eyes=(((35, 39), ((41, 36), (40, 33), (42, 37))), ((89, 93), ((95, 90), (94, 87), (96, 91)))),
        mouth=((65, 69), ((66, 54), (62, 60), (70, 57))),
    ),
})
# fmt: on
"""The markups by number of points. The tip of the nose is on no midline: a small turn of the head moves it off."""


@dataclass(frozen=True, slots=True)
class Details:
    """
    The measures of one face from further models; None where no model provides them.

    ``pose``: as in ``Measures``. ``symmetry``: in [0, 1]. ``eyes`` and ``mouth``: height of the opening, in units of
    its width.
    """

    pose: Pose | None = None
    symmetry: float | None = None
    eyes: float | None = None
    mouth: float | None = None


def details(found: Enriched) -> Details:
    """Return the details of one face: with both sets, symmetry is from the 106 points and openings from the 68."""
    even = found.of_68 if found.of_106 is None else found.of_106
    moved = found.of_106 if found.of_68 is None else found.of_68
    return Details(
        found.pose,
        None if even is None else symmetry_of(even),
        None if moved is None else eye_opening(moved),
        None if moved is None else mouth_opening(moved),
    )


def symmetry_of(points: Points) -> float:
    """
    Return 1 when both halves are mirror images, and 0 when one of them is not visible.

    The midline is the straight line nearest to the points between the halves. For each pair, l and r are the distances
    of its points from that line, negative on the wrong side. The symmetry of the pair is min(l, r) / max(l, r), at
    least 0. The result is the mean of all pairs; it is 0 when a coordinate is not finite.
    """
    markup = MARKUPS[len(points)]
    flat = np.asarray(points[:, :2], dtype=np.float64)
    if not np.isfinite(flat).all():
        return 0.0
    left, right = (flat[list(side)] for side in zip(*markup.pairs, strict=True))
    line = flat[list(markup.midline)]
    middle = line.mean(axis=0)
    down = np.linalg.svd(line - middle, full_matrices=False)[2][0]
    across = np.array([-down[1], down[0]])
    if float(across @ (right - left).mean(axis=0)) < 0.0:
        across = -across
    near, far = np.sort([(middle - left) @ across, (right - middle) @ across], axis=0)
    shares = np.divide(near, far, out=np.zeros_like(near), where=far > 0.0)
    return float(np.clip(shares, 0.0, 1.0).mean())


def eye_opening(points: Points) -> float:
    """
    Return the height of the more open eye, in units of its width.

    It is the more open one because the far eye of a turned head has half-closed landmarks. Source: Soukupova and Cech,
    *Real-time eye blink detection*, 2016.
    """
    return max(_opening(points, corners, lids) for corners, lids in MARKUPS[len(points)].eyes)


def mouth_opening(points: Points) -> float:
    """Return the gap between the lips, in units of the width of the mouth."""
    return _opening(points, *MARKUPS[len(points)].mouth)


def _opening(points: Points, corners: tuple[int, int], lids: tuple[tuple[int, int], ...]) -> float:
    flat = np.asarray(points[:, :2], dtype=np.float64)
    width = math.dist(flat[corners[0]], flat[corners[1]])
    height = float(np.mean([math.dist(flat[upper], flat[lower]) for upper, lower in lids]))
    return height / width if width > 0.0 and math.isfinite(height / width) else 0.0

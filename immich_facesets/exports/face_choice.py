"""
The faces of a face set that an export takes when it takes only so many.

``picked`` alone selects them: by ``diversity``, with weights for each kind of readers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from immich_facesets.dates import day_of
from immich_facesets.facesets.coverage import Coverage, view_of
from immich_facesets.facesets.diversity import Aspect, order_by_diversity
from immich_facesets.facesets.faceset import ExportFace, Faceset


@dataclass(frozen=True, slots=True)
class Weights:
    """
    The value of a face to a reader, and the value of a new angle, light, expression or event beside it.

    ``score`` weighs the quality, ``near`` the nearness to the centroid of the face set, ``moderate`` a small turn of
    the head. ``even_light`` weighs how near the brightness is to the median of the face set. ``large`` weighs the
    pixels of the face up to ``LARGE``, and ``sharp`` its sharpness. ``recent`` is for
    the newest face, and halves with every ``HALF_LIFE`` before it. ``whole`` is for a crop that shows all of its square, with the
    face in the middle. Each is in [0, 1]. The others are those of ``diversity``: the value of the first face of a bin.
    """

    score: float = 1.0
    near: float = 0.0
    moderate: float = 0.0
    even_light: float = 0.0
    large: float = 0.0
    sharp: float = 0.0
    whole: float = 0.0
    recent: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0
    light: float = 0.0
    expression: float = 0.0
    event: float = 0.0


FOR_AVERAGING = Weights(near=0.5, moderate=0.5, even_light=0.5, event=0.5)
"""
For readers that average raw vectors and reject nothing (docs/exports.md): faces alike in angle and light, near the
centroid, and no day twice while there are others.
"""

FOR_SHOWING = Weights(yaw=0.6, pitch=0.4, light=0.4, expression=0.4, event=0.5)
"""
For readers that learn a person's looks: every available angle, light and expression. Scores of one person's faces lie
within 0.3 of each other. A first side view therefore enters, and a tenth only as the better face.
"""

FOR_ONE_PICTURE = Weights(near=0.5, moderate=0.5, even_light=0.5, large=0.5, sharp=0.3, whole=0.3)
"""
For readers that learn a person's looks from one picture: what is good for an average, and large, sharp and centred.
"""

FOR_CAMERAS = Weights(near=0.5, moderate=1.0, sharp=0.5, recent=0.5, light=0.4, expression=0.2, event=0.5)
"""
For recognisers of cameras that learn from few pictures: people as they look today, from the front, in every light.
"""

HALF_LIFE = 3.0
"""Years in which a face becomes half as much worth to such a recogniser. It is unmeasured."""

LARGE = 512.0
"""Short edge in pixels of a face that fills half of a picture of 1024 pixels without being enlarged."""

DAYS_A_YEAR = 365.25

FULLY_TURNED = 45.0
"""Least degrees between a head's direction and the camera at which a face is not moderate at all."""

OTHER_LIGHT = 60.0
"""
Least difference in grey values between the mean of a face and the median of its set at which its light counts as
completely different.
"""


def picked(
    faceset: Faceset, count: int | None, *, is_for_swapping: bool, weights: Weights | None = None
) -> tuple[ExportFace, ...]:
    """
    Return so many faces of a face set, None for all, in the order of their ranks; for swapping no minor's.

    ``weights``: None for those of readers that average, or that show. Faces that were included by hand come first.
    Painted crops are taken only when there are too few others. Averaged faces have a floor of sharpness and size (``Faceset.averaged``), so that there may be fewer than
    asked for. A larger choice holds the smaller one.
    """
    if count is None:
        return faceset.swappable if is_for_swapping else faceset.faces
    faces = faceset.averaged if is_for_swapping else faceset.faces
    weights = weights or (FOR_AVERAGING if is_for_swapping else FOR_SHOWING)
    included = [row for row, face in enumerate(faces) if face.candidate.is_included]
    others = [row for row, face in enumerate(faces) if not face.candidate.is_included]
    clean = [row for row in others if not faces[row].is_masked]
    painted = [row for row in others if faces[row].is_masked]
    order = [row for rows in (included, clean, painted) for row in _ordered(faces, rows, weights)]
    return tuple(faces[row] for row in sorted(order[:count]))


def _ordered(faces: Sequence[ExportFace], rows: Sequence[int], weights: Weights) -> list[int]:
    """Return these rows in the order of ``diversity`` among them."""
    some = [faces[row] for row in rows]
    return [rows[place] for place in order_by_diversity(*terms(some, weights))] if rows else []


def terms(faces: Sequence[ExportFace], weights: Weights) -> tuple[NDArray[np.float64], list[Aspect]]:
    """
    Return the value of each face by itself, (n,), and the aspects in which faces differ, for ``diversity``.

    All undated faces count as one event, which they may be: the first is worth as much as a dated one.
    """
    candidates = [face.candidate for face in faces]
    coverage = Coverage.of(candidates)
    light = np.array([candidate.face.measures.brightness for candidate in candidates])
    turned = [_turned(view.yaw, view.pitch) for view in map(view_of, candidates)]
    worth = (
        weights.score * np.array([face.quality.score for face in faces])
        + weights.near * _unit(1.0 - np.array([face.distance for face in faces]))
        + weights.moderate * _unit(1.0 - np.array(turned) / FULLY_TURNED)
        + weights.even_light * _unit(1.0 - np.abs(light - np.nanmedian(light)) / OTHER_LIGHT)
        + weights.large * _unit(np.array([candidate.face.face_short for candidate in candidates]) / LARGE)
        + weights.sharp * _unit(np.array([face.quality.sharpness for face in faces]))
        + weights.whole * np.array([float(face.frame is None) for face in faces])
        + weights.recent * _recency([candidate.taken for candidate in candidates])
    )
    aspects = [
        Aspect(coverage.yaw, weights.yaw),
        Aspect(coverage.pitch, weights.pitch),
        Aspect(coverage.light, weights.light),
        Aspect(coverage.expression, weights.expression),
        Aspect(np.where(coverage.event < 0, len(faces), coverage.event), weights.event),
    ]
    return worth, [aspect for aspect in aspects if aspect.weight > 0.0]


def _recency(taken: Sequence[str | None]) -> NDArray[np.float64]:
    """Return 1 for the newest of these dates, less for older ones, and 0 for an unknown one."""
    days = np.array([np.nan if (day := day_of(text)) is None else day for text in taken])
    if not np.isfinite(days).any():
        return np.zeros(len(days))
    values: NDArray[np.float64] = np.nan_to_num(0.5 ** ((np.nanmax(days) - days) / (DAYS_A_YEAR * HALF_LIFE)), nan=0.0)
    return values


def _turned(yaw: float, pitch: float) -> float:
    """Return the angle between a head's direction and the camera, in degrees."""
    return math.degrees(math.acos(max(-1.0, min(1.0, math.cos(math.radians(yaw)) * math.cos(math.radians(pitch))))))


def _unit(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map into [0, 1]; NaN becomes the worst value."""
    clipped: NDArray[np.float64] = np.clip(np.nan_to_num(values, nan=0.0), 0.0, 1.0)
    return clipped

"""
Coverage: which angles, lights, expressions and events the faces of a set show.

Every face has one bin in each aspect. ``profiles`` chooses faces by these bins, and ``preflight`` reports empty ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from immich_facesets.facesets.diversity import binned, crossed, events
from immich_facesets.facesets.faceset import Candidate

YAW_EDGES = (-40.0, -15.0, 15.0, 40.0)
YAWS = ("profile_left", "half_left", "front", "half_right", "profile_right")
"""
Yaw bins, with their edges in degrees; left and right as seen in the picture. Where one eye is almost hidden, FSA-Net
and five points give 42 to 51 degrees. Both underestimate the true angle.
"""

PITCH_EDGES = (-16.0, 4.0)
PITCHES = ("down", "level", "up")
"""Pitch bins: ten degrees to both sides of -6, the median of 324 press photos, by FSA-Net and by five points alike."""

PITCH_OF_FIVE = 1.7
"""Ratio of the pitch estimated from five points to that of a pose model (module ``pose``)."""

BRIGHTNESS_EDGES = (105.0, 140.0)
BRIGHTNESSES = ("dark", "medium", "bright")
"""Bins of the mean of the aligned grey face in [0, 255]; the edges separate the outer fifths of the same photos."""

CONTRAST_EDGES = (46.0,)
CONTRASTS = ("soft", "hard")
"""Bins of its standard deviation: light from all sides, or from one side; the edge is the median."""

MOUTH_OPEN = 0.2
"""Least gap between the lips, in mouth widths, of an open mouth: a quarter of the same photos exceed it."""

EYES_OPEN = 0.15
"""Least height of an open eye in eye widths: 99 % of the same photos exceed it; open eyes have 0.30."""

EXPRESSIONS = ("eyes_closed", "mouth_closed", "mouth_open")

LIGHTS = tuple(f"{brightness}_{contrast}" for brightness in BRIGHTNESSES for contrast in CONTRASTS)


@dataclass(frozen=True, slots=True)
class View:
    """The direction of a head, in degrees of a pose model; signs as in ``Measures``."""

    yaw: float
    pitch: float


def view_of(candidate: Candidate) -> View:
    """Return the view by the pose model if it was requested, otherwise by five points."""
    pose = None if candidate.details is None else candidate.details.pose
    if pose is not None:
        return View(pose.yaw, pose.pitch)
    return View(candidate.face.measures.yaw, candidate.face.measures.pitch / PITCH_OF_FIVE)


@dataclass(frozen=True, slots=True)
class Coverage:
    """The bins of n faces, (n,) each; negative where unknown."""

    yaw: NDArray[np.int64]
    pitch: NDArray[np.int64]
    light: NDArray[np.int64]
    expression: NDArray[np.int64]
    event: NDArray[np.int64]

    @classmethod
    def of(cls, candidates: Sequence[Candidate]) -> Self:
        views = [view_of(candidate) for candidate in candidates]
        measures = [candidate.face.measures for candidate in candidates]
        return cls(
            yaw=binned([view.yaw for view in views], YAW_EDGES),
            pitch=binned([view.pitch for view in views], PITCH_EDGES),
            light=crossed(
                binned([measure.brightness for measure in measures], BRIGHTNESS_EDGES),
                binned([measure.contrast for measure in measures], CONTRAST_EDGES),
                len(CONTRASTS),
            ),
            expression=np.array([_expression(candidate) for candidate in candidates], dtype=np.int64),
            event=events([candidate.taken for candidate in candidates]),
        )


def _expression(candidate: Candidate) -> int:
    """Return the index of a face in ``EXPRESSIONS``, negative when its eyes and mouth were not measured."""
    details = candidate.details
    if details is None or details.eyes is None or details.mouth is None:
        return -1
    if details.eyes < EYES_OPEN:
        return EXPRESSIONS.index("eyes_closed")
    return EXPRESSIONS.index("mouth_open" if details.mouth >= MOUTH_OPEN else "mouth_closed")

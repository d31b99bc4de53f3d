"""
Coverage: which angles, lights, expressions and events the faces of a set show.

Every face is put into one bin of each aspect; ``profiles`` chooses faces by them, and ``preflight`` says which are empty.
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
Degrees, and what lies between them; left and right of the picture. Where one eye is all but hidden, FSA-Net and five points
say 42 to 51: both fall short of what a protractor would.
"""

PITCH_EDGES = (-16.0, 4.0)
PITCHES = ("down", "level", "up")
"""Ten degrees to both sides of -6, the median of 324 press photos, by FSA-Net and by five points alike."""

PITCH_OF_FIVE = 1.7
"""The pitch that five points give is so many times that of a pose model (module ``pose``)."""

BRIGHTNESS_EDGES = (105.0, 140.0)
BRIGHTNESSES = ("dark", "medium", "bright")
"""Of the mean of the aligned grey face in [0, 255]; the edges cut off the outer fifths of the same photos."""

CONTRAST_EDGES = (46.0,)
CONTRASTS = ("soft", "hard")
"""Of its standard deviation: light from everywhere, or from one side; the edge is the median."""

MOUTH_OPEN = 0.2
"""The gap between the lips, in widths of the mouth, from which on a mouth is open: a quarter of the same photos."""

EYES_OPEN = 0.15
"""The height of an open eye in its widths, of which 99 % of the same photos have more; open ones have 0.30."""

EXPRESSIONS = ("eyes_closed", "mouth_closed", "mouth_open")

LIGHTS = tuple(f"{brightness}_{contrast}" for brightness in BRIGHTNESSES for contrast in CONTRASTS)


@dataclass(frozen=True, slots=True)
class View:
    """Where a head looks, in degrees of a pose model; signs as in ``Measures``."""

    yaw: float
    pitch: float


def view_of(candidate: Candidate) -> View:
    """By the pose model where one was asked, otherwise by five points."""
    pose = None if candidate.details is None else candidate.details.pose
    if pose is not None:
        return View(pose.yaw, pose.pitch)
    return View(candidate.face.measures.yaw, candidate.face.measures.pitch / PITCH_OF_FIVE)


@dataclass(frozen=True, slots=True)
class Coverage:
    """The bins of n faces, (n,) each; negative where nothing is known."""

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
    """The place of a face in ``EXPRESSIONS``, negative when nobody looked for its lids and lips."""
    details = candidate.details
    if details is None or details.eyes is None or details.mouth is None:
        return -1
    if details.eyes < EYES_OPEN:
        return EXPRESSIONS.index("eyes_closed")
    return EXPRESSIONS.index("mouth_open" if details.mouth >= MOUTH_OPEN else "mouth_closed")

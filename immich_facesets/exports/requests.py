"""
Profiles: the forms that face sets are exported in, one for each kind of program that reads them.

A request is one profile with the number of faces of each face set, and their size. ``picked`` alone selects these
faces: by ``diversity``, with the weights of the profile.
"""

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from immich_facesets.facesets.coverage import Coverage, view_of
from immich_facesets.facesets.diversity import Aspect, order_by_diversity
from immich_facesets.facesets.faceset import ExportFace, Faceset

PROFILES_FOLDER = "_profiles"
"""A folder in the export folder; names there that begin with _ are not face sets."""

MOST_PIXELS, LEAST_PIXELS = 4096, 64


class Profile(StrEnum):
    """The reader of an export. ``fsz`` is the face set's own directory, with its bundles for roop-unleashed."""

    FSZ = "fsz"
    FACEFUSION = "facefusion"
    VISOMASTER = "visomaster"
    KOHYA = "kohya"
    IMAGEFOLDER = "imagefolder"
    XMP = "xmp"
    NPZ = "npz"
    PLAIN = "plain"


FOR_SWAPPING = frozenset({Profile.FSZ, Profile.FACEFUSION, Profile.VISOMASTER})
"""Profiles that never include a face of a minor (docs/exports.md)."""

OF_LIBRARY = frozenset({Profile.XMP, Profile.NPZ})
"""
Profiles with data on every picture of a user, one directory for each user.

The others hold the best faces of a person.
"""

WITHOUT_PICTURES = frozenset({Profile.VISOMASTER}) | OF_LIBRARY

FOLDERS: Mapping[Profile, str] = MappingProxyType(
    {
        profile: f"{PROFILES_FOLDER}/{profile}{'/train' if profile is Profile.IMAGEFOLDER else ''}"
        for profile in Profile
        if profile is not Profile.FSZ
    }
)
"""The folders of a profile's directories, relative to the export folder."""

USUAL_FACES: Mapping[Profile, int] = MappingProxyType(
    {
        Profile.FACEFUSION: 12,  # it averages all of them: a few good ones give a better result than many
        Profile.VISOMASTER: 30,  # one vector, of which every face is a part
        Profile.KOHYA: 30,  # the usual number for training on one person
    }
)
"""The default number of faces of a face set in a profile; all of them where no number is given."""


@dataclass(frozen=True, slots=True)
class Weights:
    """
    The value of a face to a reader, and the value of a new angle, light, expression or event beside it.

    ``score`` weighs the quality, ``near`` the nearness to the centroid of the face set, ``moderate`` a small turn of
    the head. ``even_light`` weighs how near the brightness is to the median of the face set. Each is in [0, 1]. The
    others are those of ``diversity``: the value of the first face of a bin.
    """

    score: float = 1.0
    near: float = 0.0
    moderate: float = 0.0
    even_light: float = 0.0
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

FULLY_TURNED = 45.0
"""Least degrees between a head's direction and the camera at which a face is not moderate at all."""

OTHER_LIGHT = 60.0
"""
Least difference in grey values between the mean of a face and the median of its set at which its light counts as
completely different.
"""


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """
    A profile to be written.

    ``faces`` of each face set, None for all; ``pixels`` of a side, None for the stored size.
    """

    profile: Profile
    faces: int | None = None
    pixels: int | None = None

    @property
    def is_of_library(self) -> bool:
        return self.profile in OF_LIBRARY


def read_export_requests(text: str) -> tuple[ExportRequest, ...]:
    """
    Return the requests in a user's text: ``fsz,kohya:40:768`` gives profile, faces of each face set, pixels of a side.

    Both numbers may be omitted; 0 faces means all. Any error is a ``ValueError`` with a sentence.
    """
    wishes = tuple(_wish(part.strip()) for part in text.split(",") if part.strip())
    if len({wish.profile for wish in wishes}) != len(wishes):
        raise ValueError("names a profile twice")
    return wishes


def picked(faceset: Faceset, wish: ExportRequest) -> tuple[ExportFace, ...]:
    """Return the faces of a face set that a request takes, in the order of their ranks."""
    is_for_swapping = wish.profile in FOR_SWAPPING
    faces = faceset.swappable if is_for_swapping else faceset.faces
    if wish.faces is None or wish.faces >= len(faces):
        return faces
    order = order_by_diversity(*terms(faces, FOR_AVERAGING if is_for_swapping else FOR_SHOWING))
    return tuple(faces[row] for row in sorted(order[: wish.faces]))


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
    )
    aspects = [
        Aspect(coverage.yaw, weights.yaw),
        Aspect(coverage.pitch, weights.pitch),
        Aspect(coverage.light, weights.light),
        Aspect(coverage.expression, weights.expression),
        Aspect(np.where(coverage.event < 0, len(faces), coverage.event), weights.event),
    ]
    return worth, [aspect for aspect in aspects if aspect.weight > 0.0]


def _turned(yaw: float, pitch: float) -> float:
    """Return the angle between a head's direction and the camera, in degrees."""
    return math.degrees(math.acos(max(-1.0, min(1.0, math.cos(math.radians(yaw)) * math.cos(math.radians(pitch))))))


def _unit(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map into [0, 1]; NaN becomes the worst value."""
    clipped: NDArray[np.float64] = np.clip(np.nan_to_num(values, nan=0.0), 0.0, 1.0)
    return clipped


def _wish(text: str) -> ExportRequest:
    name, *numbers = (part.strip() for part in text.split(":"))
    try:
        profile = Profile(name.lower())
    except ValueError:
        near = difflib.get_close_matches(name.lower(), list(Profile), n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise ValueError(f"knows no such profile{hint}; there are: {', '.join(Profile)}") from None
    if len(numbers) > 2 or not all(number.isdecimal() for number in numbers):
        raise ValueError(f"{profile}: write name, name:faces or name:faces:pixels, such as kohya:40:768")
    if numbers and (profile is Profile.FSZ or profile in OF_LIBRARY):
        advice = "; FACESETS_EXPORT_TOP and FACESETS_CROP_SIZE are its settings" if profile is Profile.FSZ else ""
        raise ValueError(f"{profile} takes no numbers{advice}")
    if len(numbers) == 2 and profile in WITHOUT_PICTURES:
        raise ValueError(f"{profile} holds no pictures, so it takes no pixels")
    faces = int(numbers[0]) or None if numbers else USUAL_FACES.get(profile)
    pixels = int(numbers[1]) if len(numbers) == 2 else None
    if pixels is not None and not LEAST_PIXELS <= pixels <= MOST_PIXELS:
        raise ValueError(f"{profile}: pixels are from {LEAST_PIXELS} to {MOST_PIXELS}")
    return ExportRequest(profile, faces, pixels)

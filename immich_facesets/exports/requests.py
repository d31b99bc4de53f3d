"""
Profiles: the forms that face sets are exported in, one for each kind of program that reads them.

A wish is one profile with how many faces of each face set it takes, and how large. ``picked`` alone decides which
faces these are: by ``diversity``, with the weights of the profile.
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
"""In the export folder; names there that begin with _ are not face sets."""

MOST_PIXELS, LEAST_PIXELS = 4096, 64


class Profile(StrEnum):
    """Who reads it. ``fsz`` is the face set's own directory, with its bundles for roop-unleashed."""

    FSZ = "fsz"
    FACEFUSION = "facefusion"
    VISOMASTER = "visomaster"
    KOHYA = "kohya"
    IMAGEFOLDER = "imagefolder"
    XMP = "xmp"
    NPZ = "npz"
    PLAIN = "plain"


FOR_SWAPPING = frozenset({Profile.FSZ, Profile.FACEFUSION, Profile.VISOMASTER})
"""No face of a minor enters these (EXPORTS, Safety)."""

OF_LIBRARY = frozenset({Profile.XMP, Profile.NPZ})
"""These say something of every picture of a user, one directory for each user; the others of the best faces of a person."""

WITHOUT_PICTURES = frozenset({Profile.VISOMASTER}) | OF_LIBRARY

FOLDERS: Mapping[Profile, str] = MappingProxyType(
    {
        profile: f"{PROFILES_FOLDER}/{profile}{'/train' if profile is Profile.IMAGEFOLDER else ''}"
        for profile in Profile
        if profile is not Profile.FSZ
    }
)
"""Where the directories of a profile lie, relative to the export folder."""

USUAL_FACES: Mapping[Profile, int] = MappingProxyType(
    {
        Profile.FACEFUSION: 12,  # it averages them all: a few good ones say more than many
        Profile.VISOMASTER: 30,  # one vector, of which every face is a part
        Profile.KOHYA: 30,  # what trainers of one person's likeness commonly take
    }
)
"""How many faces of a face set a profile takes unless it is told; all of them where nothing stands."""


@dataclass(frozen=True, slots=True)
class Weights:
    """
    What a face is worth to a reader, and what a new angle, light, expression or event is worth beside it.

    ``score`` weighs the quality, ``near`` how near a face is to the centre of its face set, ``moderate`` how little it is
    turned, ``even_light`` how near its brightness is to the median of the face set: each is in [0, 1]. The others are
    those of ``diversity``: what the first face of a bin brings.
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
For readers that average raw vectors and reject nothing (EXPORTS, .fsz): faces alike in angle and light, near the centre,
and no day twice while there are others.
"""

FOR_SHOWING = Weights(yaw=0.6, pitch=0.4, light=0.4, expression=0.4, event=0.5)
"""
For readers that learn what somebody looks like: every angle, light and expression there is. Scores of one person's faces
lie within 0.3 of each other, so that a first side view enters, and a tenth only as the better face.
"""

FULLY_TURNED = 45.0
"""Degrees between a head's direction and the camera from which on a face is not moderate at all."""

OTHER_LIGHT = 60.0
"""Grey values between the mean of a face and the median of its set from which on its light is another altogether."""


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """A profile to be written. ``faces`` of each face set, None for all; ``pixels`` of a side, None as they are."""

    profile: Profile
    faces: int | None = None
    pixels: int | None = None

    @property
    def is_of_library(self) -> bool:
        return self.profile in OF_LIBRARY


def read_export_requests(text: str) -> tuple[ExportRequest, ...]:
    """
    Wishes as people write them: ``fsz,kohya:40:768`` is a profile, faces of each face set, pixels of a side.

    Both numbers may be left out, 0 faces are all. Whatever is wrong is a ``ValueError`` with a sentence.
    """
    wishes = tuple(_wish(part.strip()) for part in text.split(",") if part.strip())
    if len({wish.profile for wish in wishes}) != len(wishes):
        raise ValueError("names a profile twice")
    return wishes


def picked(faceset: Faceset, wish: ExportRequest) -> tuple[ExportFace, ...]:
    """The faces of a face set that a wish takes, in the order of their ranks."""
    is_for_swapping = wish.profile in FOR_SWAPPING
    faces = faceset.swappable if is_for_swapping else faceset.faces
    if wish.faces is None or wish.faces >= len(faces):
        return faces
    order = order_by_diversity(*terms(faces, FOR_AVERAGING if is_for_swapping else FOR_SHOWING))
    return tuple(faces[row] for row in sorted(order[: wish.faces]))


def terms(faces: Sequence[ExportFace], weights: Weights) -> tuple[NDArray[np.float64], list[Aspect]]:
    """
    What each of these faces is worth by itself, (n,), and the aspects in which they differ, for ``diversity``.

    All undated faces stand for one event, which they may be of: the first is not worth less than a dated one.
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
    """The angle between a head's direction and the camera, in degrees."""
    return math.degrees(math.acos(max(-1.0, min(1.0, math.cos(math.radians(yaw)) * math.cos(math.radians(pitch))))))


def _unit(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Into [0, 1]; what is no number is the worst."""
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

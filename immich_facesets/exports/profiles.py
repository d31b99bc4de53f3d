"""
Profiles: the forms that face sets are exported in, one for each kind of program that reads them.

A wish is one profile with how many faces of each face set it takes, and how large. ``picked`` alone decides which
faces these are, so that a selection by more than rank has one place to go.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from immich_facesets.facesets import ExportFace, Faceset

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
class Wish:
    """A profile to be written. ``faces`` of each face set, best first, None for all; ``pixels`` of a side, None as they are."""

    profile: Profile
    faces: int | None = None
    pixels: int | None = None

    @property
    def is_of_library(self) -> bool:
        return self.profile in OF_LIBRARY


def read_wishes(text: str) -> tuple[Wish, ...]:
    """
    Wishes as people write them: ``fsz,kohya:40:768`` is a profile, faces of each face set, pixels of a side.

    Both numbers may be left out, 0 faces are all. Whatever is wrong is a ``ValueError`` with a sentence.
    """
    wishes = tuple(_wish(part.strip()) for part in text.split(",") if part.strip())
    if len({wish.profile for wish in wishes}) != len(wishes):
        raise ValueError("names a profile twice")
    return wishes


def picked(faceset: Faceset, wish: Wish) -> tuple[ExportFace, ...]:
    """The faces of a face set that a wish takes, best first: by rank alone."""
    faces = faceset.swappable if wish.profile in FOR_SWAPPING else faceset.faces
    return faces[: wish.faces]


def _wish(text: str) -> Wish:
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
    return Wish(profile, faces, pixels)

"""Requests for exports: a profile with the number of faces of each face set and their size, as users write them."""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from immich_facesets.exports.cuts import Framing
from immich_facesets.exports.picture_encoding import EVERY_FORMAT, PictureFormat
from immich_facesets.exports.profile import LibraryProfile, Profile
from immich_facesets.exports.registry import PROFILES

MOST_PIXELS, LEAST_PIXELS = 4096, 64

_SCALE = re.compile(r"x[0-9]{1,3}(\.[0-9]{1,3})?")


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """
    A profile to be written.

    ``faces`` of each face set, None for all; ``pixels`` of a side, None for the stored size; ``most_scale``: pictures
    enlarged more are left out, None for none; ``picture_format`` of the pictures; ``framing``: how much they show.
    """

    profile: Profile
    faces: int | None = None
    pixels: int | None = None
    most_scale: float | None = None
    picture_format: PictureFormat = PictureFormat.PNG
    framing: Framing = Framing.FACE

    @property
    def takes_masks(self) -> bool:
        """Whether the reader is told which parts of a picture show another person."""
        is_transparent = self.profile.reads_alpha_masks and self.picture_format.has_transparency
        return is_transparent or self.profile.has_mask_files

    @property
    def is_of_library(self) -> bool:
        return isinstance(self.profile, LibraryProfile)


def read_export_requests(text: str, framing: Framing = Framing.FACE) -> tuple[ExportRequest, ...]:
    """
    Return the requests in a user's text: ``fsz,kohya:40:768`` gives profile, faces of each face set, pixels of a side.

    Both numbers may be omitted; 0 faces means all. ``x2`` behind them leaves out what is enlarged more than twice, and
    ``x0`` nothing; ``jpg`` and ``webp`` are formats; ``half-body`` is a framing, else it is ``framing`` where a profile
    takes any. Any error is a ``ValueError`` with a sentence.
    """
    requests = tuple(_request(part.strip(), framing) for part in text.split(",") if part.strip())
    if len({request.profile.name for request in requests}) != len(requests):
        raise ValueError("names a profile twice")
    return requests


def _request(text: str, usual: Framing) -> ExportRequest:
    name, *parts = (part.strip().lower() for part in text.split(":"))
    profile = _profile(name)
    scales = [part for part in parts if _SCALE.fullmatch(part)]
    formats = [part for part in parts if part in EVERY_FORMAT]
    framings = [part for part in parts if part in set(Framing)]
    numbers = [part for part in parts if part not in {*scales, *formats, *framings}]
    is_single = max(len(scales), len(formats), len(framings)) <= 1
    if len(numbers) > 2 or not is_single or not all(number.isdecimal() for number in numbers):
        raise ValueError(
            f"{profile.name}: write name, name:faces or name:faces:pixels, such as kohya:40:768; x2 behind them leaves "
            f"out pictures that are enlarged more than twice, jpg or webp is a format, and {', '.join(Framing)} are framings"
        )
    if parts and profile.settings is not None:
        advice = f"; {' and '.join(profile.settings)} are its settings" if profile.settings else ""
        raise ValueError(f"{profile.name} takes no numbers{advice}")
    if (len(numbers) == 2 or scales or formats or framings) and not profile.has_pictures:
        raise ValueError(f"{profile.name} holds no pictures, so it takes no pixels")
    if formats and formats[0] not in profile.formats:
        raise ValueError(f"{profile.name} takes pictures as {' or '.join(profile.formats)}")
    if framings and not profile.takes_framings:
        raise ValueError(f"{profile.name} shows faces in a way of its own, so it takes no framing")
    faces = int(numbers[0]) or None if numbers else profile.usual_faces
    pixels = int(numbers[1]) if len(numbers) == 2 else profile.usual_pixels
    if pixels is not None and not LEAST_PIXELS <= pixels <= MOST_PIXELS:
        raise ValueError(f"{profile.name}: pixels are from {LEAST_PIXELS} to {MOST_PIXELS}")
    if profile.sizes and pixels not in profile.sizes:
        raise ValueError(f"{profile.name} takes {' or '.join(map(str, profile.sizes))} pixels")
    picture_format = PictureFormat(formats[0]) if formats else profile.formats[0]
    framing = Framing(framings[0]) if framings else usual if profile.takes_framings else Framing.FACE
    return ExportRequest(profile, faces, pixels, _most_scale(scales, profile), picture_format, framing)


def _most_scale(scales: Sequence[str], profile: Profile) -> float | None:
    if not scales:
        return profile.usual_most_scale
    most = float(scales[0][1:])
    if 0 < most < 1:
        raise ValueError(f"{profile.name}: x is 1 or more, or 0 for pictures of any size")
    return most or None


def _profile(name: str) -> Profile:
    profile = PROFILES.get(name)
    if profile is None:
        near = difflib.get_close_matches(name, list(PROFILES), n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise ValueError(f"knows no such profile{hint}; there are: {', '.join(PROFILES)}")
    return profile

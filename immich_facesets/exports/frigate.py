"""
The face library of Frigate: ``clips/faces/<name>/`` with a few pictures of each person.

Frigate takes each picture as the box of a face: it looks for landmarks in the whole of it, and makes the eyes a fixed
share of its width. The pictures are therefore cut to the box, as Frigate cuts its own. A folder ``train`` holds
the faces that it saw, and ``unknown`` is its word for strangers.
"""

import unicodedata
from collections.abc import Mapping

from immich_facesets.exports.face_choice import FOR_CAMERAS
from immich_facesets.exports.file_names import safe_name, unique_names
from immich_facesets.exports.picture_encoding import EVERY_FORMAT
from immich_facesets.exports.profile import FacesetLayout, FacesetProfile, PickedFaces
from immich_facesets.names import faceset_name

TAKEN = frozenset({"train", "unknown", "none"})
"""Names with a meaning of their own in Frigate, in any case."""

_LONGEST = 40  # of the 50 characters that a name may have; the rest is for numbers of people of one name
_OTHERS = frozenset("'_")  # besides letters, digits and blanks; "-" separates the parts of its file names


def face_names(labels: Mapping[int, str | None]) -> dict[int, str]:
    """
    Return the folder of each identity, which is the person's name in Frigate.

    Letters, digits, blanks, ``'`` and ``_`` stay, as Frigate allows no more in a name that is to be changed there. Marks
    above and below letters go, and every other character becomes a blank.
    """
    names = {identity: _face_name(label) or faceset_name(identity) for identity, label in labels.items()}
    return unique_names(names, {identity: f"{identity:03d}" for identity in names}, separator="_")


def _face_name(label: str | None) -> str:
    composed = unicodedata.normalize("NFC", label or "")
    kept = "".join(_kept(character) for character in composed)
    name = safe_name(" ".join(kept.split())[:_LONGEST])
    return f"{name}_" if name.casefold() in TAKEN else name


def _kept(character: str) -> str:
    kind = unicodedata.category(character)[0]
    if kind in "LN" or character in _OTHERS:
        return character
    return "" if kind == "M" else " "


def lay_out(picked: PickedFaces) -> FacesetLayout:
    """Return the pictures, without further files."""
    return FacesetLayout(tuple(picked.file_names))


FRIGATE = FacesetProfile(
    name="frigate",
    formats=EVERY_FORMAT,
    is_cut_to_box=True,
    weights=FOR_CAMERAS,
    usual_faces=5,  # Frigate's advice for the beginning; it is to learn the rest from its own cameras
    usual_pixels=224,  # its models see 160 and 112
    lay_out=lay_out,
    subfolder="clips/faces",
    has_eras=False,  # an era would be a second person
    needs_name=True,
    needs_colour=True,
    directory_names=face_names,
)

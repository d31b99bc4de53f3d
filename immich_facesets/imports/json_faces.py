"""Read one face from a JSON object; tools use different keys for the same few values."""

import re
from collections.abc import Mapping
from typing import Any

from immich_facesets.faces import Box
from immich_facesets.imports.sorted_faces import Period, SortedFace

Json = Mapping[str, Any]

_DIGESTS = ("sha256", "file_sha256", "source_sha256")
_PERHAPS_DIGESTS = ("digest", "hash")
"""Keys that may also mean something else, such as a perceptual hash."""

_PATHS = ("path", "source_path", "src_path", "source", "src", "original", "canonical", "image", "image_path")
_BOXES = ("box", "bbox", "face_box")


_NO_TEXT = re.compile("[\0\ud800-\udfff]")

LARGEST_COORDINATE = 1e7
"""Pixels: no picture is as large, and sums of such numbers are exact enough."""


def is_storable(text: str) -> bool:
    """Return whether every database can hold the text: no NUL, and no halves of characters."""
    return _NO_TEXT.search(text) is None


def face_of(item: Json, period: Period | None = None) -> tuple[SortedFace | None, str]:
    """Return a face and "", or None and what is wrong with it."""
    digest = next((str(item[key]).lower() for key in _DIGESTS if item.get(key)), None)
    if digest is not None and not is_sha256(digest):
        return None, "its digest is no SHA-256 of 64 hex digits"
    if digest is None:
        digest = next((text for key in _PERHAPS_DIGESTS if is_sha256(text := str(item.get(key)).lower())), None)
    places = [item.get(key) for key in _PATHS]
    for key in ("path_aliases", "aliases", "assets"):
        others = item.get(key) or ()
        if not isinstance(others, list | tuple):
            return None, f"{key!r} is no list"
        places += [other.get("path") if isinstance(other, dict) else other for other in others]
    named = tuple(dict.fromkeys(place for place in places if isinstance(place, str) and place))
    if not all(map(is_storable, named)):
        return None, "its path holds a NUL or half a character, which no text has"
    corners = next((item[key] for key in _BOXES if item.get(key) is not None), None)
    if corners is None:
        return SortedFace(digest, named, None, period), ""
    box = _box(corners)
    if box is None:
        return None, "its box is not x1, y1, x2, y2 in pixels with x1 < x2 and y1 < y2"
    return SortedFace(digest, named, box, period), ""


def _box(corners: object) -> Box | None:
    if isinstance(corners, Mapping):
        corners = [corners.get(edge) for edge in ("x1", "y1", "x2", "y2")]
    if not isinstance(corners, list) or len(corners) != 4:
        return None
    if not all(isinstance(edge, int | float) and abs(edge) <= LARGEST_COORDINATE for edge in corners):
        return None
    box = Box(*(float(edge) for edge in corners))
    return box if box.x1 < box.x2 and box.y1 < box.y2 else None


def is_sha256(text: str) -> bool:
    """Return whether the text is 64 lower-case hex digits."""
    return len(text) == 64 and not set(text) - set("0123456789abcdef")

"""
The names of sidecars in the tree that overlays a user's library, and the pictures that sidecars elsewhere belong to.

A tree holds what Immich manages by its path below Immich's own folder (``UPLOAD_LOCATION``), such as
``library/anna/2019/a.jpg.xmp``. External libraries stand under ``external`` by their path in Immich's container, as the
API does not tell where a library begins. The pictures of a folder stand by their path in it.
"""

import re

from immich_facesets.exports.file_names import OURS
from immich_facesets.exports.library import PlacedPicture

EXTERNAL_FOLDER = "external"
SUFFIX = ".xmp"

_LONGEST = 250  # bytes; file systems allow 255, and the sidecar's suffix needs 4
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_MEDIA_FOLDERS = (("data",), ("usr", "src", "app", "upload"))
"""Immich's own folder in its containers, of newer and of older versions."""


def sidecar_name(place: PlacedPicture) -> str | None:
    """
    Return the name of a picture's sidecar in the tree, such as ``a/b.jpg.xmp``.

    None for a path that cannot be rebuilt on every file system: with a backslash, a part beyond 250 bytes, or no text.
    """
    parts = [part for part in place.path.split("/") if part not in {"", "."}]
    try:
        lengths = [len(part.encode()) for part in parts]
    except UnicodeEncodeError:
        return None
    unfit = any(part == ".." or part.startswith(OURS) or set(part) & {"\\", "\0"} for part in parts)
    if unfit or not parts or max(lengths) > _LONGEST:
        return None
    if place.is_external:
        parts = [EXTERNAL_FOLDER, *parts]
    elif place.path.startswith("/"):
        parts = _below_media_folder(parts)
    return f"{'/'.join(parts)}{SUFFIX}"


def _below_media_folder(parts: list[str]) -> list[str]:
    """Return the parts of a path that Immich manages, below its own folder; all parts where that is not recognised."""
    for folder in _MEDIA_FOLDERS:
        rest = parts[len(folder) :]
        if tuple(parts[: len(folder)]) == folder and _is_managed(rest):
            return rest
    return next((parts[start:] for start in range(len(parts)) if _is_managed(parts[start:])), parts)


def _is_managed(parts: list[str]) -> bool:
    """Return whether a path begins as Immich lays out uploads, or pictures by a storage template."""
    match parts:
        case ["library", _, _, *_]:
            return True
        case ["upload", user, _, *_]:
            return _UUID.fullmatch(user) is not None
    return False

"""Whether a directory that was exported before has a face for swapping that is held back by now."""

from collections.abc import Mapping, Sequence

from immich_facesets.exports.fsz import FSZ
from immich_facesets.exports.manifests import Json
from immich_facesets.exports.registry import PROFILES
from immich_facesets.faces import SAME_FACE_IOU, Box


def exposes(manifest: Json, held: Mapping[str, Sequence[Box]]) -> bool:
    """
    Return whether a bundle for swapping in a directory with this manifest has a face that is held back.

    ``held``: the boxes of such faces in upright original pixels, by SHA-256 of the picture. An entry without the parts
    that ours have counts as such a face.
    """
    profile = PROFILES.get(str(manifest.get("profile", FSZ.name)))
    faces = manifest.get("faces")
    if profile is None or not profile.is_for_swapping or not isinstance(faces, list):
        return False
    if profile is FSZ and not any(bundle_files(manifest)):
        return False
    return any(_is_exposed(face, held) for face in faces)


def shows_any(manifest: Json, places: Mapping[str, Sequence[Box]]) -> bool:
    """Return whether a directory with this manifest has a face at one of these places; one that cannot be read has none."""
    faces = manifest.get("faces")
    return any(_is_at(face, places) for face in faces) if isinstance(faces, list) else False


def _is_at(face: Json, places: Mapping[str, Sequence[Box]]) -> bool:
    try:
        box = Box(*face["box"])
        return any(box.iou(other) >= SAME_FACE_IOU for other in places.get(face["sha256"], ()))
    except (KeyError, TypeError):
        return False


def bundle_files(manifest: Json) -> tuple[str, ...]:
    """Return the files of a face set's bundles for swapping."""
    bundles = manifest.get("bundles")
    names = bundles.values() if isinstance(bundles, dict) else ()
    return tuple(dict.fromkeys(str(name) for name in names if name is not None))


def _is_exposed(face: Json, held: Mapping[str, Sequence[Box]]) -> bool:
    try:
        box, boxes = Box(*face["box"]), held.get(face["sha256"], ())
        return not face["is_minor"] and any(box.iou(other) >= SAME_FACE_IOU for other in boxes)
    except (KeyError, TypeError):
        return True

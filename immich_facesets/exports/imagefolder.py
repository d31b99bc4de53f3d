"""
Folders for ``datasets.load_dataset("imagefolder")`` of Hugging Face: ``train/<label>/`` with a ``metadata.jsonl`` each.

The library reads every folder below the given one. It takes a folder whose name holds a word such as ``test`` for
another split. With metadata it does not derive labels from folders, so each line carries its label.
"""

import json
import re
from collections.abc import Mapping

from immich_facesets.exports.file_names import safe_name, unique_names
from immich_facesets.exports.manifests import face_entry
from immich_facesets.exports.picture_encoding import EVERY_FORMAT
from immich_facesets.exports.profile import FacesetLayout, FacesetProfile, PickedFaces
from immich_facesets.facesets.faceset import ExportFace, Faceset
from immich_facesets.names import faceset_name

METADATA = "metadata.jsonl"

_SPLITS = re.compile(r"(?<![^\W\d_])(train|training|test|testing|eval|evaluation|val|valid|validation|dev)(?![^\W\d_])")


def class_names(labels: Mapping[int, str | None]) -> dict[int, str]:
    """
    Return the folder of each identity, which is its class: its label if that is a valid, unique folder name.

    The reader skips folders that begin with two underscores, and treats those named after a split as that split.
    """
    names = {identity: _class_name(identity, label) for identity, label in labels.items()}
    return unique_names(names, {identity: f"{identity:03d}" for identity in names})


def metadata(faceset: Faceset, class_name: str, faces: Mapping[str, ExportFace]) -> bytes:
    """Return one line for each picture, by its file's name in the same folder."""
    lines = (
        {
            "file_name": file,
            "label": class_name,
            "identity": faceset.identity,
            **{key: face_entry(rank, face, file)[key] for key in ("rank", "score", "distance", "taken", "sha256")},
        }
        for rank, (file, face) in enumerate(faces.items(), start=1)
    )
    return "".join(f"{json.dumps(line, ensure_ascii=True, allow_nan=False)}\n" for line in lines).encode()


def _class_name(identity: int, label: str | None) -> str:
    name = safe_name(safe_name(label or "").lstrip("_.- ")) or faceset_name(identity)
    return _SPLITS.sub(lambda found: found[0].capitalize(), name)


def lay_out(picked: PickedFaces) -> FacesetLayout:
    """Return the pictures of a class, and their metadata."""
    lines = metadata(picked.faceset, picked.name, dict(zip(picked.file_names, picked.faces, strict=True)))
    return FacesetLayout(tuple(picked.file_names), {METADATA: lines})


IMAGEFOLDER = FacesetProfile(
    name="imagefolder",
    formats=EVERY_FORMAT,
    takes_framings=True,
    lay_out=lay_out,
    subfolder="train",
    has_eras=False,  # an era would be a second class of the same person
    directory_names=class_names,
)

"""
The directory about all face sets of a profile, for readers that hold one list of people and replace it as they load.

It is made of the same files as the directories of single face sets, so the two never differ. No face of a minor is in
it: those directories have none. Its manifest names each face that has a part in it. The directory is therefore withdrawn
as soon as one of them is held back.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence

from immich_facesets.checkpoints import checkpoint
from immich_facesets.exports.artifacts import ExportArtifact
from immich_facesets.exports.manifests import SCHEMA, Json, json_bytes
from immich_facesets.exports.profile import Content, FacesetProfile
from immich_facesets.imports.manifests import MANIFEST

EVERYBODY = "everybody"
"""The name of the directory; a face set's begins with ``faceset_``."""


def form_of_everybody(
    profile: FacesetProfile, artifacts: Sequence[ExportArtifact], *, space: str
) -> ExportArtifact | None:
    """
    Return the directory about all of these artifacts of a profile; None when the profile has none, or nobody is there.

    ``artifacts``: without pictures, one for each face set. Blocking: a manifest names every face.
    """
    if profile.combine is None or not artifacts:
        return None
    notes = profile.combine([body for artifact in artifacts for body in _notes(artifact)])
    manifests: list[Json] = [json.loads(artifact.manifest) for artifact in artifacts]
    faces = [
        {"faceset": manifest["faceset"], "identity": manifest["identity"]}
        | {key: face[key] for key in ("file", "sha256", "box", "is_minor")}
        for manifest in manifests
        for face in manifest["faces"]
    ]
    body = json_bytes(
        {
            "schema": SCHEMA,
            "name": EVERYBODY,
            "profile": profile.name,
            "space": space,
            "bundles": {note: note for note in notes},
            "notes": {note: hashlib.sha256(content).hexdigest() for note, content in notes.items()},
            "facesets": [manifest["faceset"] for manifest in manifests],
            "faces": faces,
        }
    )

    def files() -> Iterator[tuple[str, Content]]:
        yield from notes.items()
        yield MANIFEST, body

    entry = {"profile": profile.name, "identity": None, "faces": len(faces)}
    return ExportArtifact(f"{profile.folder}/{EVERYBODY}", profile, None, body, entry, files)


def _notes(artifact: ExportArtifact) -> Iterator[bytes]:
    """Yield the files of an artifact besides its manifest."""
    checkpoint()
    for name, content in artifact.files():
        if name != MANIFEST and isinstance(content, bytes):
            yield content

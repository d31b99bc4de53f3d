"""Ownership of directories in the export folder: only those with a manifest of ours are ever deleted."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from immich_facesets.errors import RequestError, SetupError
from immich_facesets.exports.file_names import OURS
from immich_facesets.exports.manifests import SCHEMA
from immich_facesets.facesets.faceset import digest
from immich_facesets.imports.manifests import MANIFEST

_KINDS = frozenset({"faces", "facesets", "identities"})
"""The keys of which a manifest of ours has one."""


def real_folders(folder: Path) -> Iterator[Path]:
    """Return the folders in a folder, without drafts and links."""
    if folder.is_dir() and not folder.is_symlink():
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        yield from (folder / name for name in sorted(names) if not name.startswith(OURS))


def refuse_foreign_folder(target: Path) -> None:
    """Raise a ``SetupError`` when this name exists and is neither ours nor an empty folder."""
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if not target.is_dir() or not is_ours(manifest_of(target)):
        raise SetupError(
            f"{target} was not written by this program and will not be deleted: "
            "move it away, or set another export folder"
        )


def refuse_closed_folder(target: Path, closed: Sequence[Path]) -> None:
    """
    Raise a ``RequestError`` for a folder in or around ``closed`` ones: sources and the service's own folders.

    Pictures written there would be taken in by the next sync.
    """
    real = target.resolve()
    for folder in closed:
        there = folder.resolve()
        if real.is_relative_to(there) or there.is_relative_to(real):
            raise RequestError(
                f"--to must name another folder than {folder}, which is a source or a folder of this program",
                status=400,
            )


def manifest_of(folder: Path) -> dict[str, Any]:
    """Return the manifest in a folder, empty when there is no readable one."""
    path = folder / MANIFEST
    return object_in(path.read_bytes()) if path.is_file() and not path.is_symlink() else {}


def object_in(body: bytes) -> dict[str, Any]:
    """Return the JSON object in these bytes, empty when they hold none."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def digest_at(path: Path) -> str | None:
    """
    Return the digest of the content of our directory at this path.

    It is empty where files are missing; None for any other directory.
    """
    manifest = manifest_of(path)
    if not is_ours(manifest) or manifest.get("name") != path.name:
        return None
    return digest((path / MANIFEST).read_bytes()) if is_whole(path, manifest) else ""


def is_ours(manifest: dict[str, Any]) -> bool:
    return manifest.get("schema") == SCHEMA and not manifest.keys().isdisjoint(_KINDS)


def is_whole(folder: Path, manifest: dict[str, Any]) -> bool:
    """Return whether every picture, bundle and note named in the manifest exists."""
    try:
        files = [str(face["file"]) for face in manifest["faces"] if face["file"] is not None]
        files += [str(name) for face in manifest["faces"] for name in face.get("further", ())]
        files += [str(name) for name in manifest["bundles"].values() if name is not None]
        files += list(manifest.get("notes", ()))
    except (AttributeError, KeyError, TypeError):  # written by hand, or by another version
        return False
    return all((folder / file).is_file() for file in files)

"""
Files of others in the directories of the export folder: what this program did not write, or what was changed since.

Captions are edited by hand, pictures are added, programs store caches beside them. No sync deletes or replaces these. A
file beside a picture follows its face to the picture's new name. Pictures and bundles of ours are no such files, even
changed: they go when their face must not be there any more. Links are not kept: nothing is lost with them.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from immich_facesets.checkpoints import checkpoint
from immich_facesets.exports.fsz import FSZ
from immich_facesets.exports.registry import PROFILES
from immich_facesets.imports.manifests import MANIFEST
from immich_facesets.runtime.file_modes import SHARED_FOLDER, make_folder
from service.files.draft_files import SUMS, digests_in
from service.files.ownership import manifest_of

KEPT_FOLDER = "_kept"
"""A folder in the export folder, for files of others whose face or directory is gone."""

NEW_SUFFIX = ".new"
"""Added to the name of a file of ours where a changed one keeps the name."""


Shown = tuple[str, int]
"""A face, and which of its pictures: several directories may hold one each, and a mask is a picture, too."""


@dataclass(frozen=True, slots=True)
class _Pictures:
    """The pictures that a manifest names: the face of each, and the picture of each face."""

    face_of: Mapping[str, Shown]
    file_of: Mapping[Shown, str]

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> "_Pictures":
        faces = [entry for entry in manifest.get("faces", ()) if isinstance(entry, dict) and "box" in entry]
        face_of = {
            str(file): (f"{face.get('sha256')} {face['box']}", number)
            for face in faces
            for number, file in enumerate((face.get("file"), *face.get("further", ())))
            if file
        }
        return cls(face_of, {face: file for file, face in face_of.items()})

    @property
    def folders(self) -> list[str]:
        """The folders of the pictures, in their order."""
        return list(dict.fromkeys(map(_parent, self.face_of)))


def carry_over(before: Path, draft: Path, apart: Path) -> list[Path]:
    """
    Link the files of others in the directory ``before`` into its whole draft; return where they are now.

    A file without a place there goes to the folder ``apart``. One of ours whose name is taken by a changed one
    gets ``NEW_SUFFIX``; a caption of ours does not stay beside the changed one.
    """
    old, new = _Pictures.of(manifest_of(before)), _Pictures.of(manifest_of(draft))
    notes = (digests_in(draft) or {}).keys() - new.face_of.keys()
    kept = []
    for name in _of_others(before):
        place = _place(name, old, new)
        if place is None:
            kept.append(_keep(before / name, apart / name))
            continue
        target = draft / place
        if place in notes and target.is_file():
            if _companion(name, old) is None:
                target.rename(draft / f"{place}{NEW_SUFFIX}")
            else:
                target.unlink()
        kept.append(before / _keep(before / name, target).relative_to(draft))
    return kept


def keep_apart(folder: Path, apart: Path) -> list[Path]:
    """Link the files of others in a directory that will be removed to the folder ``apart``; return where they are."""
    return [_keep(folder / name, apart / name) for name in _of_others(folder)]


def _of_others(folder: Path) -> Iterator[str]:
    """Yield the names of the files that are not ours as we wrote them; none where no digests were stored."""
    digests = digests_in(folder)
    if digests is None:
        return
    ours = _always_ours(manifest_of(folder), digests)
    for path in sorted(_files(folder)):
        checkpoint()
        name = path.relative_to(folder).as_posix()
        written = digests.get(name) or digests.get(name.removesuffix(NEW_SUFFIX))
        is_unchanged = written is not None and _digest(path) == written
        if name not in ours and not is_unchanged:
            yield name


def _always_ours(manifest: Mapping[str, Any], digests: Mapping[str, str]) -> set[str]:
    """
    Return the files that are ours even when changed: pictures, bundles and manifests.

    Of a profile for swapping these are all files that its readers load. None is kept when a face is held back.
    """
    named = manifest.get("bundles")
    bundles = {str(name) for name in named.values()} if isinstance(named, dict) else set[str]()
    profile = PROFILES.get(str(manifest.get("profile", FSZ.name)))
    is_for_swapping = profile is None or profile.is_for_swapping
    return {MANIFEST, SUMS, *_Pictures.of(manifest).face_of} | (
        bundles if is_for_swapping else bundles - digests.keys()
    )


def _place(name: str, old: _Pictures, new: _Pictures) -> str | None:
    """Return the name in the new directory: that of its picture, or in the folder of pictures, or the same."""
    picture = _companion(name, old)
    if picture is not None:
        file = new.file_of.get(old.face_of[picture])
        return None if file is None else f"{_stem(file)}{name[len(_stem(picture)) :]}"
    if _parent(name) in old.folders and new.folders and _parent(name) not in new.folders:
        folder = new.folders[0]
        return f"{folder}/{PurePosixPath(name).name}" if folder else PurePosixPath(name).name
    return name


def _companion(name: str, pictures: _Pictures) -> str | None:
    """Return the picture that a file lies beside, such as its caption; None for any other file."""
    for file in pictures.face_of:
        rest = name.removeprefix(_stem(file))
        if rest != name and not rest[:1].isalnum():
            return file
    return None


def _keep(path: Path, target: Path) -> Path:
    """Link or copy a file to a free name and return it; an equal file there is enough."""
    make_folder(target.parent, mode=SHARED_FOLDER)
    free, number = target, 1
    while free.exists():
        if free.is_file() and _digest(free) == _digest(path):
            return free
        number += 1
        free = target.with_name(f"{target.stem} ({number}){target.suffix}")
    try:
        free.hardlink_to(path)
    except OSError:  # no hard links there
        shutil.copy2(path, free)
    return free


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder; links are neither yielded nor followed."""
    for place, _, files in os.walk(folder):
        yield from (path for name in files if not (path := Path(place, name)).is_symlink())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stem(name: str) -> str:
    return name.removesuffix(PurePosixPath(name).suffix)


def _parent(name: str) -> str:
    return name.rpartition("/")[0]

"""Crops kept in the data folder: one small JPEG per face, so that an export fetches no picture again."""

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path

from immich_facesets.checkpoints import checkpoint
from immich_facesets.errors import SetupError
from immich_facesets.runtime.file_modes import make_folder
from service.files.durable import discard, disk_trouble, sync_folder, write_durably


def keep_crop(folder: Path, sha256: str, image: bytes, *, suffix: str = ".jpg") -> str:
    """
    Write one crop durably and return its name relative to ``folder``, derived from its content.

    Blocking. A disk error raises a ``SetupError``.
    """
    name = f"{sha256[:2]}/{sha256}.{hashlib.sha256(image).hexdigest()}{suffix}"
    path = folder / name
    if path.is_file():
        return name
    draft = path.with_suffix(".draft")
    with disk_trouble(folder):
        make_folder(path.parent)
        discard(draft)
        write_durably(draft, image)
        draft.replace(path)
        sync_folder(path.parent)
    return name


def read_crop(folder: Path, name: str) -> bytes:
    """
    Return the bytes of a stored crop. Blocking.

    A missing crop raises a ``SetupError``, because the next sync restores it.
    """
    try:
        return (folder / name).read_bytes()
    except FileNotFoundError as error:
        raise SetupError(
            f"a face crop is missing in {folder}: run 'immich-facesets sync', which fetches its picture again"
        ) from error


def find_lost(folder: Path, needed: Collection[str]) -> set[str]:
    """
    Return the crops that faces need and that are missing. Blocking.

    They were deleted, or are younger than a restored database.
    """
    if not folder.is_dir():
        return set(needed)
    lost = set(needed)
    for part in folder.iterdir():
        checkpoint()
        if part.is_dir():
            lost.difference_update(f"{part.name}/{path.name}" for path in part.iterdir())
    return lost


def erase_pictures(folder: Path, pictures: Mapping[str, Collection[str]]) -> None:
    """
    Remove the files of these pictures, by SHA-256, but for those that are still needed; drafts go, too.

    Blocking. A disk error raises a ``SetupError``.
    """
    with disk_trouble(folder):
        for sha256, needed in pictures.items():
            checkpoint()
            for path in (folder / sha256[:2]).glob(f"{sha256}.*"):
                if path.relative_to(folder).as_posix() not in needed:
                    discard(path)


def tidy(folder: Path, needed: Collection[str]) -> int:
    """
    Remove every crop that no face needs; return the number removed.

    Blocking. A disk error raises a ``SetupError``.
    """
    removed = 0
    with disk_trouble(folder):
        for path in folder.glob("*/*"):
            checkpoint()
            if path.relative_to(folder).as_posix() not in needed:
                discard(path)
                removed += 1
    return removed

"""The crops kept in the data folder: one small JPEG a face, so that no picture is fetched a second time for an export."""

import hashlib
import os
from collections.abc import Collection
from pathlib import Path

from service.durable_files import discard, disk_trouble, sync_folder


def keep_crop(folder: Path, sha256: str, image: bytes) -> str:
    """
    Write one crop durably and return its name relative to ``folder``; the name is made of what it shows.

    Blocking. A disk that refuses is a ``SetupError``.
    """
    name = f"{sha256[:2]}/{sha256}.{hashlib.sha256(image).hexdigest()}.jpg"
    path = folder / name
    if path.is_file():
        return name
    draft = path.with_suffix(".draft")
    with disk_trouble(folder):
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as stream:
            stream.write(image)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
        sync_folder(path.parent)
    return name


def tidy(folder: Path, needed: Collection[str]) -> int:
    """Remove every crop that no face needs; returns how many. Blocking. A disk that refuses is a ``SetupError``."""
    removed = 0
    with disk_trouble(folder):
        for path in folder.glob("*/*"):
            if path.relative_to(folder).as_posix() not in needed:
                discard(path)
                removed += 1
    return removed

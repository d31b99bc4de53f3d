"""How much room folders take."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from immich_facesets.checkpoints import checkpoint


@dataclass(slots=True)
class FolderSize:
    """The files of a folder and their bytes; a file with several names counts once."""

    files: int = 0
    bytes: int = 0


def folder_size(folder: Path, *, but: Collection[Path] = ()) -> FolderSize:
    """
    Return the size of a folder, without what ``but`` names in it. Blocks: a minute for millions of files.

    Links are not followed. Files that are gone meanwhile or may not be read are left out.
    """
    total, seen, waiting = FolderSize(), set[tuple[int, int]](), [folder]
    while waiting:
        checkpoint()
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    path = Path(entry.path)
                    if path in but:
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(path)
                    else:
                        _add(total, seen, entry)
        except OSError:
            continue
    return total


def _add(total: FolderSize, seen: set[tuple[int, int]], entry: os.DirEntry[str]) -> None:
    try:
        state = entry.stat(follow_symlinks=False)
    except OSError:
        return
    if state.st_nlink > 1:
        if (state.st_dev, state.st_ino) in seen:
            return
        seen.add((state.st_dev, state.st_ino))
    total.files += 1
    total.bytes += state.st_size

"""
Modes of files and folders, whatever the umask, and whichever program made them.

*Private* ones only their owner can access. *Shared* ones other programs may read, as far as the umask lets them.
Windows has no such modes: there a folder's access list decides, and nothing here has an effect.
"""

import contextlib
import os
import stat
from functools import partial
from pathlib import Path

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
SHARED_FILE = 0o644
SHARED_FOLDER = 0o755

private_opener = partial(os.open, mode=PRIVATE_FILE)
shared_opener = partial(os.open, mode=SHARED_FILE)
"""The ``opener`` of ``open`` for a new file."""

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def make_folder(folder: Path, *, mode: int = PRIVATE_FOLDER) -> None:
    """
    Create a folder and its missing parents with this mode, before the umask.

    An existing one keeps its mode: ``close_to_others`` changes it.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing or [folder]):
        path.mkdir(mode=mode, exist_ok=True)


def is_open_to_others(path: Path) -> bool:
    """Return whether anybody but the owner has any access to an existing file or folder."""
    return os.name != "nt" and bool(path.stat().st_mode & _OTHERS)


def close_to_others(path: Path) -> bool:
    """
    Give a file or folder its private mode; return whether only its owner can access it now.

    A missing one counts as private. The mode stays where another user is the owner, or the file system has no modes.
    """
    try:
        if not is_open_to_others(path):
            return True
        # Systems refuse in several ways; the mode afterwards is what counts.
        with contextlib.suppress(OSError):
            path.chmod(PRIVATE_FOLDER if path.is_dir() else PRIVATE_FILE)
        return not is_open_to_others(path)
    except FileNotFoundError:
        return True


def close_tree_to_others(folder: Path) -> None:
    """
    Do as ``close_to_others`` for a folder and all it holds, unless the folder is private already.

    The folder itself comes last, so that a kill before the end leads to another try. Links are not followed.
    """
    if not folder.is_dir() or not is_open_to_others(folder):
        return
    for place, folders, files in os.walk(folder):
        for path in (Path(place, name) for name in (*folders, *files)):
            if not path.is_symlink():
                close_to_others(path)
    close_to_others(folder)

"""What a disk that refuses means for the person who runs us."""

import errno
import os
from pathlib import Path

from immich_facesets.errors import SetupError


def disk_trouble(error: OSError, folder: Path) -> SetupError:
    """The ``SetupError`` for a failed write in ``folder``."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return SetupError(f"the disk is full at {folder}: free some space, then start again; nothing is lost")
        case errno.EROFS | errno.EACCES | errno.EPERM:
            return SetupError(f"{folder} cannot be written: make it writable for this user, or choose another folder")
        case _:
            return SetupError(f"writing in {folder} failed ({error.strerror}): check the disk, then start again")


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable (a no-op where folders cannot be opened, as on Windows)."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

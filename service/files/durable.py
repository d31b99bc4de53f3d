"""Writes that survive a power cut, and disk errors with advice for the user."""

import contextlib
import ctypes
import errno
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from immich_facesets.errors import SetupError
from immich_facesets.runtime.file_modes import PRIVATE_FILE

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2  # linux/fs.h
_CANNOT_EXCHANGE = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM})

_ADVICE = {
    errno.ENOSPC: "the disk is full: free some space, or move the folder to a larger disk",
    errno.EDQUOT: "the disk quota is used up: free some space, or raise the quota",
    errno.EFBIG: "files may not be that large there: raise the limit, or use another file system",
    errno.EROFS: "it is mounted read-only: mount it with write access",
    errno.EACCES: "access is denied: give the user this service runs as the right to write there",
    errno.EPERM: "access is denied: give the user this service runs as the right to write there",
    errno.EIO: "the disk reports a read or write error: check the disk",
    errno.ESTALE: "the network share went away: mount it again",
}


@contextlib.contextmanager
def disk_trouble(folder: Path) -> Iterator[None]:
    """Convert disk errors that a user can fix into a ``SetupError``; any other error is a bug and passes through."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0)
        if advice is None:
            raise
        raise SetupError(f"cannot write to {folder}: {advice}. No half-written file is visible there") from error


def write_durably(path: Path, content: bytes | Callable[[BinaryIO], None], *, mode: int = PRIVATE_FILE) -> None:
    """
    Write a new file from these bytes, or with the callable; ``FileExistsError`` when the name is taken.

    ``mode``: the permissions of the file, before the umask; usually only its owner can access it.
    """
    with open(path, "xb", opener=partial(os.open, mode=mode)) as file:
        if isinstance(content, bytes):
            file.write(content)
        else:
            content(file)
        file.flush()
        os.fsync(file.fileno())


def replace_privately(path: Path, content: bytes) -> None:
    """Replace a file atomically, readable by its owner only: readers see the old or the new one, whole."""
    draft = path.with_name(f".{path.name}.draft")
    discard(draft)
    try:
        write_durably(draft, content)
        draft.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            discard(draft)
        raise


def discard(path: Path) -> None:
    """Delete the file or folder of this name, with its content; links are deleted, never followed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Windows has no such call; the journal of NTFS makes it unnecessary."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def exchange(one: Path, other: Path) -> bool:
    """
    Swap two names in one step, so that neither is ever missing; return False where the system cannot.

    renameat2(2) with RENAME_EXCHANGE: Linux 3.15 and later on local file systems; not NFS, SMB or most of FUSE.
    """
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None
    if rename is None:
        return False
    names = (os.fsencode(one), os.fsencode(other))
    if rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _CANNOT_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(one), None, str(other))

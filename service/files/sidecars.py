"""
XMP sidecars in a folder of others: found, and replaced one at a time.

A sidecar is replaced by a new file of the same name, which has its permissions and, where possible, its owner. Readers
and backups see the old one or the new one, whole. One that changed meanwhile is left alone, and so are links.
"""

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from immich_facesets.checkpoints import checkpoint
from immich_facesets.errors import ItemError, SetupError
from immich_facesets.exports.sidecar_places import SUFFIX
from service.files.directory_swap import DRAFT, beside
from service.files.durable import discard, disk_trouble, sync_folder, write_durably

MOST_BYTES: Final = 16 << 20
"""The largest sidecar that is read: it is text about one picture."""


@dataclass(frozen=True, slots=True)
class FoundSidecar:
    """
    A sidecar. ``name``: its path below the folder, with slashes.

    ``pictures``: the files it may belong to: the one that has its name without ``.xmp``, else those that share its stem.
    """

    path: Path
    name: str
    pictures: tuple[Path, ...]


def sidecars_in(folder: Path) -> Iterator[FoundSidecar]:
    """
    Yield the sidecars below a folder, by path. Links are not followed. Blocks.

    ``SetupError`` when a folder cannot be read.
    """

    def unreadable(error: OSError) -> None:
        raise SetupError(f"{error.filename} cannot be read: give the user this command runs as the right") from error

    for place, folders, files in os.walk(folder, onerror=unreadable):
        checkpoint()
        folders.sort()
        names = {name for name in files if not Path(place, name).is_symlink()}
        yield from (_found(folder, Path(place), name, names) for name in sorted(names) if _is_sidecar(name))


def require_folder(folder: Path) -> None:
    """Raise a ``SetupError`` unless this folder exists."""
    if not folder.is_dir():
        raise SetupError(f"{folder} is no folder: name the one that holds the sidecars")


def require_writable(folder: Path) -> None:
    """Raise a ``SetupError`` with advice unless files can be written into this folder: a source is often read-only."""
    probe = folder / f"{DRAFT}probe"
    with disk_trouble(folder):
        discard(probe)
        write_durably(probe, b"")
        discard(probe)


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes. Blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class ReadSidecar:
    """The bytes of a sidecar, and the state of its file when they were read."""

    path: Path
    body: bytes
    state: os.stat_result


def read_sidecar(path: Path) -> ReadSidecar:
    """Return a sidecar; ``ItemError`` when it cannot be read, is too large, or is no ordinary file. Blocks."""
    try:
        state = path.lstat()
        if not stat.S_ISREG(state.st_mode):  # the opening of a pipe waits for a writer
            raise ItemError("it is no ordinary file", reason="unreadable_sidecar")
        with path.open("rb") as file:
            body = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ItemError(f"it cannot be read: {error.strerror}", reason="unreadable_sidecar") from error
    if len(body) > MOST_BYTES:
        raise ItemError(f"it has more than {MOST_BYTES >> 20} MiB", reason="unreadable_sidecar")
    return ReadSidecar(path, body, state)


def replace_sidecar(before: ReadSidecar, body: bytes) -> None:
    """Replace a sidecar durably; ``ItemError`` when it changed since it was read. Blocks."""
    path = before.path
    draft = beside(path, DRAFT)
    with disk_trouble(path.parent):
        discard(draft)
        try:
            write_durably(draft, body)
            with contextlib.suppress(OSError):  # only an administrator may give files away
                os.chown(draft, before.state.st_uid, before.state.st_gid)
            draft.chmod(stat.S_IMODE(before.state.st_mode))
            if _key(path.lstat()) != _key(before.state):
                raise ItemError("another program is changing it: run the command again", reason="changed_sidecar")
            draft.replace(path)
        except FileNotFoundError as error:
            raise ItemError("it is gone", reason="changed_sidecar") from error
        finally:
            with contextlib.suppress(OSError):
                discard(draft)
        sync_folder(path.parent)


def _key(status: os.stat_result) -> tuple[int, int, int]:
    return (status.st_ino, status.st_size, status.st_mtime_ns)


def _is_sidecar(name: str) -> bool:
    return name.lower().endswith(SUFFIX) and not name.startswith(".")


def _found(folder: Path, place: Path, name: str, names: set[str]) -> FoundSidecar:
    """Return a sidecar with the pictures that it may belong to; none where each of these has one of its own."""
    path = place / name
    stem = name[: -len(SUFFIX)]
    own = {other[: -len(SUFFIX)] for other in names if _is_sidecar(other)}
    if stem in names:
        pictures = [stem]
    else:
        pictures = sorted(other for other in names if Path(other).stem == stem and not _is_sidecar(other))
        pictures = [] if all(other in own for other in pictures) else pictures
    relative = path.relative_to(folder).as_posix()
    return FoundSidecar(path, relative, tuple(place / other for other in pictures))

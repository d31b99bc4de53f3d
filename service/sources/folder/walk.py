"""A traversal of everything below a folder, in one pass that stores only directories in memory."""

import errno
import os
from collections import deque
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from immich_facesets.errors import ItemError
from immich_facesets.picture_formats import is_video, picture_type
from service.sources import MOTION_PART, VIDEO
from service.sources.folder.path_names import shown
from service.sources.folder.reach import Reach

_NOT_PICTURES = frozenset({"lost+found", "@eadir", "#recycle", "@recycle", "$recycle.bin", "system volume information"})
"""The internal folders of file systems and NAS devices, in lower case."""

_LONGEST_ID = 1000

Key = tuple[int, int] | str


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file with a picture's name. ``asset_id``: its path below the root, as text; ``name``: the system's form."""

    asset_id: str
    name: str
    stamp: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """An entry that is not a picture, and the reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A folder or file that cannot be read."""

    item: str
    error: ItemError


Found = FoundFile | Skipped | Unreadable


def stamp_of(status: os.stat_result) -> str:
    """
    Return a file's size and times as a stamp: while it is unchanged, so are the bytes.

    The change time reveals a replaced file with its old date restored. The inode is left out: many network and FUSE
    mounts assign new ones arbitrarily, and every file would be read again.
    """
    return f"{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}"


def key_of(path: str) -> Key:
    """Return a key that is equal for two paths to the same folder."""
    status = os.stat(path)  # noqa: PTH116 - a hot loop over names that may not be UTF-8
    return (status.st_dev, status.st_ino) if status.st_ino else os.path.realpath(path)


def unreadable(error: OSError) -> ItemError:
    """Return the error for an unreadable file or folder, with a message that omits its name."""
    if error.errno in {errno.EACCES, errno.EPERM}:
        return ItemError("access is denied: give the user this service runs as the right to read it", reason="denied")
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return ItemError("it is not there any more", reason="not_found")
    if error.errno == errno.ENAMETOOLONG:
        return ItemError("its path is too long for the system", reason="path_too_long")
    return ItemError(f"it cannot be read: {error.strerror or 'the system gives no reason'}", reason="unreadable")


def is_hidden(name: str) -> bool:
    """Return whether the name of a file or folder marks it as not one of a user's pictures."""
    return name.startswith(".") or name.lower() in _NOT_PICTURES


def walk(root: Path, *, closed: Iterable[Path] = (), follow_links: bool = False) -> Iterator[Found]:
    """
    Yield every file below ``root``, folder by folder, in order of names; blocking.

    Links to folders are followed after everything below the root itself. No folder is entered twice by any path, so
    loops end. ``closed`` folders are never entered. ``follow_links``: links that lead out of the root count, too.
    """
    reach = Reach(root, follow_links=follow_links)
    entered: set[Key] = set()
    for path in closed:
        try:
            entered.add(key_of(str(path)))
        except OSError:
            continue  # it does not exist, so the traversal cannot reach it
    linked = deque([""])
    while linked:
        stack = [linked.popleft()]
        while stack:
            place = stack.pop()
            entries = _entries(str(root), place, entered, reach)
            if isinstance(entries, list):
                yield from _sorted_out(place, entries, stack, linked, reach)
            else:
                yield entries


def _entries(root: str, place: str, entered: set[Key], reach: Reach) -> list[os.DirEntry[str]] | Skipped | Unreadable:
    """Return the direct entries of one folder, in order of names, or why there are none."""
    try:
        path = os.path.join(root, place)  # noqa: PTH118 - as above
        key = key_of(path)
        if key in entered:
            return Skipped("seen_folder")
        if not isinstance(key, str) and reach.is_kernel_device(key[0]):
            return Skipped("system_folder")
        with os.scandir(path) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
        entered.add(key)
    except OSError as error:
        return Unreadable(_item(place), unreadable(error))
    return entries


def _sorted_out(
    place: str, entries: Iterable[os.DirEntry[str]], stack: list[str], linked: deque[str], reach: Reach
) -> Iterator[Found]:
    """Yield the files among the entries of a folder; its subfolders are put onto ``stack`` and ``linked`` for later."""
    folders: list[str] = []
    entries = list(entries)
    stills = {entry.name.rpartition(".")[0].lower() for entry in entries if picture_type(entry.name) is not None}
    for entry in entries:
        name = os.path.join(place, entry.name)  # noqa: PTH118 - as above
        if is_hidden(entry.name):
            yield Skipped("hidden")
            continue
        try:
            if entry.is_dir():
                if entry.is_symlink():
                    reach.check(entry.path)
                (linked if entry.is_symlink() else folders).append(name)
            else:
                yield _file(name, entry, reach, stills)
        except OSError as error:
            yield Unreadable(_item(name), unreadable(error))
        except ItemError as error:
            yield Unreadable(_item(name), error)
    stack.extend(reversed(folders))


def _file(name: str, entry: os.DirEntry[str], reach: Reach, stills: Container[str]) -> Found:
    """Return one file; a video that is called like one of ``stills``, in lower case, is the moving part of that picture."""
    if is_video(entry.name):
        return Skipped(MOTION_PART if entry.name.rpartition(".")[0].lower() in stills else VIDEO)
    if picture_type(entry.name) is None:
        return Skipped("no_picture")
    if not entry.is_file():
        return Skipped("broken_link" if entry.is_symlink() else "no_file")
    if entry.is_symlink():
        reach.check(entry.path)
    asset_id = shown(name)
    if len(asset_id) > _LONGEST_ID:
        return Unreadable(_item(name), ItemError("its path is too long to be remembered", reason="path_too_long"))
    return FoundFile(asset_id, name, stamp_of(entry.stat()))


def _item(name: str) -> str:
    return shown(name)[:_LONGEST_ID] or "/"

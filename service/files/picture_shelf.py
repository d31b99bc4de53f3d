"""
The pictures of one publish: each is encoded once, however many directories hold it.

Equal files are one file on the disk with several names (hard links), where the file system has these and the folder is
ours alone; else they are copied. A link is made only to a file that still has the bytes that were written.
"""

import hashlib
import threading
from collections import deque
from collections.abc import Hashable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from immich_facesets.exports.profile import PictureFile
from immich_facesets.runtime.cpu_count import available_cores
from immich_facesets.runtime.file_modes import SHARED_FILE
from service.files.durable import disk_trouble, write_durably

_AHEAD = 2  # pictures in work for each core: none waits, and few are in memory


class PictureShelf:
    """
    The pictures of one publish: the digest of each picture's file, and where files of a digest are.

    ``may_link``: whether equal files may be one file. ``cores``: encoders at once; None for all that may be used.
    """

    def __init__(self, *, may_link: bool = True, cores: int | None = None) -> None:
        self._may_link = may_link
        self._cores = cores or available_cores()
        self._digests: dict[Hashable, str] = {}
        self._places: dict[str, Path] = {}
        self._lock = threading.Lock()
        self._turns: dict[Hashable, threading.Lock] = {}
        self.encoded = 0
        """How many pictures were encoded."""

    def add(self, folder: Path, digests: Mapping[str, str]) -> None:
        """Note the files of a directory that is in place: the digest of each by its name."""
        self._places |= {digest: folder.joinpath(*name.split("/")) for name, digest in digests.items()}

    @contextmanager
    def desk(self, root: Path) -> Iterator["Desk"]:
        """Yield a desk for the pictures of one directory in ``root``, which disk errors name."""
        with ThreadPoolExecutor(self._cores, thread_name_prefix="picture") as encoders:
            try:
                yield Desk(self, encoders, root, self._cores * _AHEAD)
            finally:
                encoders.shutdown(cancel_futures=True)

    def put(self, picture: PictureFile, path: Path, before: Path, root: Path) -> str:
        """
        Make a picture's file at ``path`` and return its digest. Blocking, for any thread.

        ``before``: the file of this name in the directory that is replaced.
        """
        with self._lock:
            turn = self._turns.setdefault(picture.key, threading.Lock())
        with turn:
            return self._put(picture, path, before, root)

    def _put(self, picture: PictureFile, path: Path, before: Path, root: Path) -> str:
        known = self._digests.get(picture.key)
        body = None if known is None else _body(self._places.get(known), known)
        if known is None or body is None:
            body = picture.encode()
            known = hashlib.sha256(body).hexdigest()
            with self._lock:
                self.encoded += 1
                self._digests[picture.key] = known
        with disk_trouble(root):
            place = self._places.get(known) if self._may_link else None
            if not any(linked(other, path, body) for other in (place, before) if other is not None):
                write_durably(path, body, mode=SHARED_FILE)
        with self._lock:
            self._places.setdefault(known, path)  # for another name in this directory; ``add`` knows its last place
        return known


class Desk:
    """The encoding of one directory's pictures: several at once, finished in their order."""

    def __init__(self, shelf: PictureShelf, encoders: ThreadPoolExecutor, root: Path, most: int) -> None:
        self._shelf = shelf
        self._encoders = encoders
        self._root = root
        self._most = most
        self._pending: deque[tuple[str, Future[str]]] = deque()

    def take(self, name: str, picture: PictureFile, path: Path, before: Path) -> Iterator[tuple[str, str]]:
        """Begin a picture; yield the name and the digest of each that was finished for it."""
        self._pending.append((name, self._encoders.submit(self._shelf.put, picture, path, before, self._root)))
        yield from self._finished(self._most)

    def rest(self) -> Iterator[tuple[str, str]]:
        """Yield the name and the digest of all others, as they are finished."""
        yield from self._finished(0)

    def _finished(self, most: int) -> Iterator[tuple[str, str]]:
        while len(self._pending) > most:
            name, future = self._pending.popleft()
            yield name, future.result()


def linked(before: Path, path: Path, body: bytes) -> bool:
    """
    Link a file with these bytes at ``path``; return whether it was linked.

    The file is durable already, which saves thousands of fsync calls. There is no link where it differs, is a link
    itself, or the file system has no hard links, or no more for this file.
    """
    try:
        if before.is_symlink() or not before.is_file() or before.read_bytes() != body:
            return False
        path.hardlink_to(before)
    except OSError:
        return False
    return True


def _body(place: Path | None, digest: str) -> bytes | None:
    """Return the bytes of a file; None where it is gone or was changed since it was written."""
    try:
        body = None if place is None or place.is_symlink() else place.read_bytes()
    except OSError:
        return None
    return body if body is not None and hashlib.sha256(body).hexdigest() == digest else None

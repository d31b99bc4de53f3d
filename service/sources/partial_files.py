"""
Writing a picture to disk: a partial file that gets its final name only when it is complete.

Writing and hashing happen in a thread, a block at a time, so that disk access never blocks the event loop.
"""

import errno
import hashlib
import threading
from pathlib import Path
from typing import IO
from uuid import uuid4

from immich_facesets.errors import SetupError
from immich_facesets.runtime.file_modes import make_folder, private_opener
from service.sources import Staged

BLOCK_BYTES = 1024 * 1024
"""The size of a block written and hashed at once: some 3 ms of work, and one thread call for most pictures."""

DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class PartialFile:
    """
    A file that is being written; its name is independent of any remote data. Every method blocks.

    There is no fsync: a staged file is fetched again after a crash, and nothing refers to it. The lock is for a task
    that is cancelled while a thread still writes for it: a discarded file is not created again.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / uuid4().hex
        self._draft = folder / f".{self._path.name}.part"
        self._file: IO[bytes] | None = None
        self._sha1 = hashlib.sha1(usedforsecurity=False)
        self._sha256 = hashlib.sha256()
        self._size = 0
        self._lock = threading.Lock()
        self._is_discarded = False

    def absorb(self, blocks: list[bytes]) -> None:
        with self._lock:
            if self._is_discarded:
                return
            try:
                if self._file is None:
                    self._file = self._create()
                for block in blocks:
                    rest = memoryview(block)
                    while rest:
                        rest = rest[self._file.write(rest) :]
            except OSError as error:
                raise self._cannot_write(error) from error
        for block in blocks:
            self._sha1.update(block)
            self._sha256.update(block)
            self._size += len(block)

    def finish(self, blocks: list[bytes]) -> Staged:
        """Write the remaining blocks, give the file its final name, and return it."""
        self.absorb(blocks)
        with self._lock:
            try:
                if self._file is not None:
                    self._file.close()
                    self._draft.rename(self._path)
            except OSError as error:
                raise self._cannot_write(error) from error
        return Staged(
            path=self._path, size_bytes=self._size, sha1=self._sha1.hexdigest(), sha256=self._sha256.hexdigest()
        )

    def discard(self) -> None:
        """Delete whatever has been written so far."""
        with self._lock:
            self._is_discarded = True
            if self._file is not None:
                self._file.close()
                self._file = None
                self._draft.unlink(missing_ok=True)
                self._path.unlink(missing_ok=True)

    def _create(self) -> IO[bytes]:
        make_folder(self._draft.parent)
        return open(self._draft, "xb", buffering=0, opener=private_opener)

    def _cannot_write(self, error: OSError) -> SetupError:
        folder = self._draft.parent
        if error.errno in DISK_FULL:
            return SetupError(
                f"the disk is full: free some space for pictures in {folder}, then start again; nothing is lost"
            )
        return SetupError(f"pictures cannot be written into {folder}: {error.strerror}")

"""Staging: pictures on disk between Immich and the embedder. Fetched pictures are reused after a kill."""

import asyncio
import hashlib
from collections import deque
from collections.abc import Collection
from pathlib import Path

from immich_facesets.runtime.file_modes import make_folder
from service.files.durable import discard, disk_trouble
from service.sources import Staged

_CHUNK = 1 << 20


def _key(fingerprint: str) -> str:
    return hashlib.sha256(fingerprint.encode()).hexdigest()[:40]


def _digests(path: Path) -> tuple[str, str]:
    sha1, sha256 = hashlib.sha1(usedforsecurity=False), hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            sha1.update(chunk)
            sha256.update(chunk)
    return sha1.hexdigest(), sha256.hexdigest()


class Staging:
    """
    A folder of verified pictures, named ``<key of the fingerprint>.<sha256>``; other files in it are leftovers.

    ``room`` is in bytes: fetches wait (back-pressure) until this run's pictures there take less.
    """

    def __init__(self, folder: Path, *, room: int) -> None:
        self.folder = folder
        self._room = room
        self._used = 0
        self._found: dict[str, Path] = {}
        self._left: dict[str, Path] = {}
        self._waiting: deque[asyncio.Future[None]] = deque()

    def prepare(self) -> None:
        """Create the folder and remove incomplete pictures. Blocking; call it in a thread."""
        with disk_trouble(self.folder):
            make_folder(self.folder)
            for path in self.folder.iterdir():
                key, _, digest = path.name.partition(".")
                if len(key) == 40 and len(digest) == 64:
                    self._found[key] = path
                else:
                    discard(path)

    async def find(self, fingerprint: str) -> Staged | None:
        """Return the picture of a fingerprint that was fetched before and is not done, verified again."""
        key = _key(fingerprint)
        path = self._left.pop(key, None) or self._found.pop(key, None)
        staged = None if path is None else await asyncio.to_thread(self._verified, path)
        if staged is not None:
            self._used += staged.size_bytes
        return staged

    def _verified(self, path: Path) -> Staged | None:
        with disk_trouble(self.folder):
            sha1, sha256 = _digests(path)
            if path.name.endswith(sha256):
                return Staged(path, path.stat().st_size, sha1, sha256)
            path.unlink()  # incomplete after a power cut
        return None

    async def wait_for_room(self) -> None:
        """Return when there is room; at least one picture is always admitted."""
        while self._used >= self._room:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn

    def keep(self, fingerprint: str, staged: Staged) -> Staged:
        """Give a fetched picture its permanent name."""
        path = self.folder / f"{_key(fingerprint)}.{staged.sha256}"
        with disk_trouble(self.folder):
            staged.path.replace(path)
        self._used += staged.size_bytes
        return Staged(path, staged.size_bytes, staged.sha1, staged.sha256)

    def release(self, staged: Staged) -> None:
        """Delete a picture that is done, and free its room."""
        with disk_trouble(self.folder):
            staged.path.unlink(missing_ok=True)
        self._make_room(staged)

    def leave(self, staged: Staged) -> None:
        """Free the room of a picture that is not done; its file stays for a later ``find``."""
        self._left[staged.path.name.partition(".")[0]] = staged.path
        self._make_room(staged)

    def _make_room(self, staged: Staged) -> None:
        self._used -= staged.size_bytes
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)

    @property
    def has_unused(self) -> bool:
        """Whether pictures of earlier runs were not reused."""
        return bool(self._found)

    def sweep(self, needed: Collection[str]) -> None:
        """
        Remove pictures of earlier runs that were not reused, but for those of the ``needed`` fingerprints.

        Blocking; call it in a thread.
        """
        kept = {_key(fingerprint) for fingerprint in needed}
        with disk_trouble(self.folder):
            for key in self._found.keys() - kept:
                self._found.pop(key).unlink(missing_ok=True)

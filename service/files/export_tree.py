"""
The export folder: readers see each faceset whole, either the old or the new one.

A directory is written as a draft beside its place, made durable, and swapped in. A kill leaves behind:

- before the swap, a draft: garbage;
- after it, the old directory under the draft's name: garbage;
- where the file system cannot swap two names (NFS, SMB), the old directory, moved away first. Between the two renames
  readers find nothing; the draft is whole by then, and ``recover`` puts it in place.

Only directories written by this program are deleted: they hold a manifest of ours. Files of others in them, and files
of ours that were changed, are kept (``kept_files``). There is one writer at a time; the
store's lock excludes a second service.
"""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from immich_facesets.checkpoints import checkpoint
from immich_facesets.errors import SetupError
from immich_facesets.exports.profile import Content
from immich_facesets.runtime.file_modes import SHARED_FILE, SHARED_FOLDER
from service.files.directory_swap import DRAFT, GONE, beside, interrupted, put_in_place, settle
from service.files.draft_files import digests_in, fill_draft, parts_of
from service.files.durable import discard, disk_trouble, exchange, sync_folder, write_durably
from service.files.export_places import USERS_FOLDER, ExportPlaces
from service.files.kept_files import KEPT_FOLDER, carry_over, keep_apart
from service.files.ownership import digest_at, is_ours, manifest_of, object_in, refuse_foreign_folder
from service.files.picture_shelf import PictureShelf

_PROBE_BYTES = 1 << 20  # written by ``check`` to test for free space


class ExportTree:
    """
    Writer of one export folder. Every method blocks on the disk: call it from a thread.

    ``step`` is called with a word after each step that a kill may follow. ``swap`` exchanges two names or returns
    False. A publish and the decisions that are made meanwhile hold ``turn`` while they change a directory and its row.
    """

    def __init__(
        self,
        root: Path,
        *,
        step: Callable[[str], None] = lambda _: None,
        swap: Callable[[Path, Path], bool] = exchange,
    ) -> None:
        self._root = root.resolve()
        self._places = ExportPlaces(self._root)
        self._step = step
        self._swap = swap
        self._kept: list[Path] = []
        self.turn = asyncio.Lock()

    def check(self) -> None:
        """
        Check that the folder exists, is writable and has room.

        If not, raise a ``SetupError`` with advice.
        """
        self._places.require_root()
        probe = self._root / f"{DRAFT}probe"
        with disk_trouble(self._root):
            try:
                discard(probe)
                write_durably(probe, bytes(_PROBE_BYTES), mode=SHARED_FILE)
            finally:
                with contextlib.suppress(OSError):
                    discard(probe)

    def take_kept(self) -> list[Path]:
        """Return the files of others that the writes since the last call kept, where they are now."""
        kept, self._kept = self._kept, []
        return kept

    def place(self, name: str) -> str:
        """Return the path of a directory of this folder on this machine."""
        return str(self._root / name)

    def recover(self) -> None:
        """Finish or undo interrupted writes. Call it before anything else is written or planned."""
        with disk_trouble(self._root):
            for folder in list(self._places.writable_folders()):
                leaves = interrupted(folder)
                for leaf in leaves:
                    settle(folder / leaf)
                if leaves:
                    sync_folder(folder)

    def on_disk(self) -> dict[str, str]:
        """
        Return every directory of ours and the digest of its content; the digest is empty where files are missing.

        It is read from the disk, so it is correct after a kill, a restored backup or a lost database.
        """
        found: dict[str, str] = {}
        for path in self._places.directories():
            checkpoint()
            held = digest_at(path)
            if held is not None:
                found[path.relative_to(self._root).as_posix()] = held
        return found

    def manifests(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield every directory of ours, whole or not, with its manifest, one at a time: all may not fit in memory."""
        for path in self._places.directories():
            checkpoint()
            manifest = manifest_of(path)
            if is_ours(manifest):
                yield path.relative_to(self._root).as_posix(), manifest

    def users_on_disk(self) -> set[str]:
        """Return the directories of users that hold a manifest of ours."""
        return {path.name for path in self._places.folders_in(USERS_FOLDER) if is_ours(manifest_of(path))}

    def outline(self) -> str:
        """
        Return a digest of the names, sizes and times of everything in the folder; it changes when anything is touched.

        Links are not followed. A name that disappears meanwhile counts as touched.
        """
        found = hashlib.sha256()
        for folder, folders, files in os.walk(self._root):
            checkpoint()
            folders.sort()
            for path in sorted(Path(folder, name) for name in (*folders, *files)):
                found.update(os.fsencode(path) + b"\0")
                with contextlib.suppress(FileNotFoundError):
                    status = path.lstat()
                    found.update(f"{status.st_mode} {status.st_size} {status.st_mtime_ns}".encode())
        return found.hexdigest()

    def digest_of(self, name: str) -> str | None:
        """Return the digest of one directory as in ``on_disk``; None when there is none of ours."""
        return digest_at(self._places.path(name))

    def shelf(self) -> PictureShelf:
        """Return a shelf for one publish, with the files that are in place."""
        shelf = PictureShelf()
        for path in self._places.directories():
            checkpoint()
            shelf.add(path, digests_in(path) or {})
        return shelf

    def write_directory(
        self, name: str, files: Iterable[tuple[str, Content]], shelf: PictureShelf | None = None
    ) -> None:
        """
        Write a directory, replacing any of the same name.

        ``name`` and the files' names are relative, with slashes. ``files`` is read during writing. When it or the disk
        fails, the old directory stays unchanged. Files of others in it are kept (``take_kept``). ``shelf``: of the
        publish; None for a directory that shares no file with others.
        """
        shelf = PictureShelf(may_link=False) if shelf is None else shelf
        self._places.require_root()
        target = self._places.path(name)
        draft = beside(target, DRAFT)
        with disk_trouble(self._root):
            self._places.make_folders(target.parent)
            settle(target)
            refuse_foreign_folder(target)
            draft.mkdir(mode=SHARED_FOLDER)
        self._step("draft")
        try:
            digests = self._fill(draft, target, files, shelf)
            with disk_trouble(self._root):
                put_in_place(draft, target, swap=self._swap, step=self._step)
            shelf.add(target, digests)
        finally:
            with disk_trouble(self._root):
                settle(target)
        self._step("deleted")

    def remove_directory(self, name: str) -> bool:
        """
        Remove a directory of ours, at once for every reader; False when there was none.

        Files of others in it are kept apart (``take_kept``).
        """
        target = self._places.path(name)
        with disk_trouble(self._root):
            settle(target)
            if not target.exists():
                return False
            refuse_foreign_folder(target)
            self._kept += keep_apart(target, self._places.kept_of(target))
            target.rename(beside(target, GONE))
            self._step("gone")
            sync_folder(target.parent)
            self._step("durable")
            settle(target)
            with contextlib.suppress(OSError):  # not empty: other directories are in it
                for parent in target.parents:
                    if parent == self._root:
                        break
                    parent.rmdir()
        self._step("deleted")
        return True

    def erase_directory(self, name: str) -> None:
        """
        Remove a directory of ours with all that is in it, files of others too, and those that were kept of it before.

        For the directories of a person who was forgotten: what others stored beside the pictures shows that person, too.
        """
        self.erase_kept(name)
        target = self._places.path(name)
        with disk_trouble(self._root):
            settle(target)
            if target.exists():
                refuse_foreign_folder(target)
                target.rename(beside(target, GONE))
                self._step("gone")
                sync_folder(target.parent)
                settle(target)
        self._step("deleted")

    def erase_kept(self, name: str) -> None:
        """Remove the files of others that were kept of a directory of ours, whether that is there or not."""
        kept = self._places.path(f"{KEPT_FOLDER}/{name}")
        with disk_trouble(self._root):
            discard(kept)

    def remove_files(self, name: str, files: Iterable[str]) -> None:
        """Delete files of a directory of ours. It then counts as incomplete, and the next publish writes it again."""
        target = self._places.path(name)
        with disk_trouble(self._root):
            refuse_foreign_folder(target)
            for file in files:
                discard(target.joinpath(*parts_of(file)))
            sync_folder(target)

    def write_file(self, name: str, body: bytes) -> bool:
        """Write a manifest atomically; False, without any write, when it is unchanged."""
        self._places.require_root()
        target = self._places.path(name)
        with disk_trouble(self._root):
            before = self.read_file(name)
            if before == body:
                return False
            if before is not None and not is_ours(object_in(before)):
                raise SetupError(
                    f"{target} was not written by this program: move it away, or set another export folder"
                )
            self._places.make_folders(target.parent)
            draft = beside(target, DRAFT)
            discard(draft)
            try:
                write_durably(draft, body, mode=SHARED_FILE)
                self._step("draft")
                draft.replace(target)
            except BaseException:
                with contextlib.suppress(OSError):
                    discard(draft)
                raise
            self._step("swapped")
            sync_folder(target.parent)
        self._step("durable")
        return True

    def remove_file(self, name: str) -> bool:
        """Remove a manifest of ours from the folder; False when there was none."""
        target = self._places.path(name)
        with disk_trouble(self._root):
            before = self.read_file(name)
            if before is None or not is_ours(object_in(before)):
                return False
            discard(target)
            sync_folder(target.parent)
        self._step("deleted")
        return True

    def read_file(self, name: str) -> bytes | None:
        """Return the bytes of a file, or None when there is none: used as ``previous`` for ``top_manifest``."""
        target = self._places.path(name)
        if not target.exists():
            return None
        if not target.is_file():
            raise SetupError(f"{target} is no file: move it away, or set another export folder")
        return target.read_bytes()

    def _fill(
        self, draft: Path, target: Path, files: Iterable[tuple[str, Content]], shelf: PictureShelf
    ) -> dict[str, str]:
        digests = fill_draft(draft, target, files, self._root, shelf, step=self._step)
        with disk_trouble(self._root):
            self._kept += carry_over(target, draft, self._places.kept_of(target))
            for folder in sorted({draft, *(path for path in draft.rglob("*") if path.is_dir())}, reverse=True):
                sync_folder(folder)
        self._step("synced")
        return digests

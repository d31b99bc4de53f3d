"""Registry of folder sources: opened as listed in the store, including those added while the service runs."""

import asyncio
from collections.abc import MutableMapping, Sequence
from pathlib import Path

import structlog

from immich_facesets.errors import SetupError
from immich_facesets.exports.file_names import user_directories
from service.files.export_places import USERS_FOLDER
from service.files.export_tree import ExportTree
from service.progress import ProgressBoard
from service.settings import Settings
from service.sources import Source
from service.sources.folder import FolderSource
from service.store.database import Store
from service.store.folders import Folder, FolderMemory, folders, forget_removed, stored_sources
from service.store.sources import REMOVED

log = structlog.get_logger(__name__)


class FolderSources:
    """Keeps the folders in ``sources`` in line with the store; ``users`` are the names of Immich users."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        board: ProgressBoard,
        tree: ExportTree,
        sources: MutableMapping[str, Source],
        users: Sequence[str],
    ) -> None:
        self._store = store
        self._settings = settings
        self._board = board
        self._tree = tree
        self._sources = sources
        self._users = frozenset(users)

    async def update(self) -> None:
        """
        Forget removed sources, and open added folders.

        A folder with the name of an Immich user raises a ``SetupError``. Call it only while no sync runs.
        """
        await self._forget_removed()
        found = {folder.name: folder for folder in await self._store.read(folders)}
        if taken := sorted(self._users & found.keys()):
            raise SetupError(
                f"{taken[0]!r} is an Immich user and a folder: call the user something else, or run "
                f"'immich-facesets sources remove {taken[0]}'"
            )
        for name in [name for name, source in self._sources.items() if isinstance(source, FolderSource)]:
            if name not in found:
                del self._sources[name]
        for name, folder in found.items():
            before = self._sources.get(name)
            if not isinstance(before, FolderSource) or _is_changed(before, folder):
                self._sources[name] = build_folder_source(folder, self._store, self._settings, self._board)

    async def _forget_removed(self) -> None:
        """
        Delete the manifests of removed sources, then everything stored about them.

        Publish removes their faces from the exports.
        """
        known = await self._store.read(stored_sources)
        removed = [source.name for source in known if source.mode == REMOVED]
        if not removed:
            return
        directories = user_directories(source.name for source in known)
        for name in removed:
            await asyncio.to_thread(self._tree.remove_directory, f"{USERS_FOLDER}/{directories[name]}")
        await self._store.write(forget_removed, removed)
        log.info("sources_forgotten", count=len(removed))
        for name in removed:
            if name not in self._users:
                self._sources.pop(name, None)
            self._board.drop_remote(f"folder {name}")


def build_folder_source(
    folder: Folder, store: Store, settings: Settings, board: ProgressBoard | None = None
) -> FolderSource:
    """Return the source of one folder, unopened. The service's own folders below it are never entered."""
    return FolderSource(
        folder.name,
        folder.root,
        folder.mode,
        FolderMemory(store, folder.name),
        max_file_bytes=settings.max_file_bytes,
        closed=own_folders(settings),
        follow_links=folder.follow_links,
        on_change=None if board is None else board.update_remote,
    )


def _is_changed(source: FolderSource, folder: Folder) -> bool:
    is_now = (source.root, source.mode, source.follow_links)
    return is_now != (folder.root, folder.mode, folder.follow_links)


def own_folders(settings: Settings) -> tuple[Path, ...]:
    """Return the service's own folders: the pictures in them are never taken in."""
    return (settings.data_dir.absolute(), settings.export_dir.absolute())

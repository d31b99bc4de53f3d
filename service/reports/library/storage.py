"""The sizes of everything that is stored: measured at times, because folders may hold millions of files."""

import asyncio
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from service.computation import compute
from service.files.folder_sizes import FolderSize, folder_size
from service.passes.context import CROPS_FOLDER, PREVIEWS_FOLDER, STAGING_FOLDER, utc_now
from service.settings import Settings
from service.store.database import Store
from service.store.database_size import database_bytes
from service.web.library import service as shown

KEPT_SECONDS = 300.0
"""How long a measurement is shown again. It reads every folder, and nobody needs the sizes of this minute."""
PATIENCE = 2.0
"""How many seconds a caller waits for a measurement. On a slow disk it takes minutes, and the next caller gets it."""

_FOLDERS: Mapping[str, shown.StoredPart] = {
    CROPS_FOLDER: "crops",
    STAGING_FOLDER: "staging",
    PREVIEWS_FOLDER: "previews",
    "references": "references",
}

_OF_DATABASE = ("facesets.db", "facesets.db-wal", "facesets.db-shm")
"""Files of SQLite, whose size is asked of the database itself."""


class StorageReads:
    """The sizes of everything that is stored. ``uptime``: a monotonic clock in seconds; ``patience``: as ``PATIENCE``."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        uptime: Callable[[], float] = time.monotonic,
        patience: float = PATIENCE,
    ) -> None:
        self._store = store
        self._settings = settings
        self._uptime = uptime
        self._patience = patience
        self._measuring: asyncio.Task[shown.StorageAnswer] | None = None
        self._known: shown.StorageAnswer | None = None
        self._known_at = 0.0

    async def answer(self) -> shown.StorageAnswer:
        """Return the latest sizes; an answer without any where the first measurement takes long."""
        if self._known is not None and self._uptime() - self._known_at <= KEPT_SECONDS:
            return self._known
        if self._measuring is None:
            self._measuring = asyncio.create_task(self._measured())
        measuring = self._measuring
        await asyncio.wait({measuring}, timeout=self._patience)
        if measuring.done():
            if self._measuring is measuring:
                self._measuring, self._known_at = None, self._uptime()
            self._known = measuring.result()
        return self._known or shown.StorageAnswer(
            parts=(), data_free_bytes=None, export_free_bytes=None, measured_at=None
        )

    async def _measured(self) -> shown.StorageAnswer:
        in_database = await self._store.read(database_bytes)
        measured = await compute(_parts, self._settings.data_dir, self._settings.export_dir)
        database = shown.StoredSize(part="database", files=None, bytes=in_database)
        return shown.StorageAnswer(
            parts=(database, *measured),
            data_free_bytes=await _free(self._settings.data_dir),
            export_free_bytes=await _free(self._settings.export_dir),
            measured_at=utc_now(),
        )


def _parts(data: Path, exports: Path) -> tuple[shown.StoredSize, ...]:
    """Return the sizes of the folders; all but the database, which may lie elsewhere. Blocks."""
    data, exports = data.absolute(), exports.absolute()
    sizes: list[tuple[shown.StoredPart, FolderSize]] = [
        *((part, folder_size(data / name)) for name, part in _FOLDERS.items()),
        ("facesets", folder_size(exports)),
        ("other", folder_size(data, but={exports, *(data / name for name in (*_FOLDERS, *_OF_DATABASE))})),
    ]
    return tuple(shown.StoredSize(part=part, files=size.files, bytes=size.bytes) for part, size in sizes)


async def _free(folder: Path) -> int | None:
    try:
        return (await asyncio.to_thread(shutil.disk_usage, folder)).free
    except OSError:  # it is not mounted
        return None

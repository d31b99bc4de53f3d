"""Folders as sources: which there are, what is known of their files, and giving a source up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, delete, exists, insert, or_, select, update

from service.store.assets import has_any, stamps
from service.store.database import Store
from service.store.sources import FOLDER
from service.store.tables import assets, failures, hints, people, sources

Mode = Literal["mixed", "trusted"]
REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that a person added as a source."""

    name: str
    root: Path
    mode: Mode


@dataclass(frozen=True, slots=True)
class StoredSource:
    """Any source there ever was and is not forgotten. ``mode`` is ``removed`` for one that the next sync forgets."""

    name: str
    kind: str
    root: str | None
    mode: str | None


class FolderMemory:
    """What the store knows of one folder's files, for the source that lists them."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name

    async def stamps(self, asset_ids: Sequence[str]) -> Mapping[str, str]:
        return await self._store.read(stamps, self._name, asset_ids)

    async def has_any(self) -> bool:
        return await self._store.read(has_any, self._name)


def folders(tx: Connection) -> list[Folder]:
    """The folders that are sources, by name."""
    rows = tx.execute(
        select(sources).where(sources.c.kind == FOLDER, sources.c.mode != REMOVED).order_by(sources.c.name)
    )
    return [Folder(row.name, Path(row.root), "trusted" if row.mode == "trusted" else "mixed") for row in rows]


def stored_sources(tx: Connection) -> list[StoredSource]:
    """Every source, by name."""
    rows = tx.execute(select(sources).order_by(sources.c.name))
    return [StoredSource(row.name, row.kind, row.root, row.mode) for row in rows]


def has_work(tx: Connection) -> bool:
    """Whether a sync has something to do without any Immich: a folder to list, or a source to forget."""
    return bool(tx.scalar(select(exists().where(or_(sources.c.kind == FOLDER, sources.c.mode == REMOVED)))))


def add_folder(tx: Connection, folder: Folder) -> None:
    """Make a folder a source; of one that is a source already, root and mode become these."""
    values: dict[str, Any] = {"root": str(folder.root), "mode": folder.mode}
    if tx.execute(update(sources).where(sources.c.name == folder.name).values(values)).rowcount == 0:
        tx.execute(insert(sources).values(name=folder.name, kind=FOLDER, user_id="", **values))


def remove_source(tx: Connection, name: str) -> None:
    """Note that a source is given up; the next sync forgets it."""
    tx.execute(update(sources).where(sources.c.name == name).values(mode=REMOVED))


def forget_removed(tx: Connection, names: Sequence[str]) -> None:
    """Drop sources that were given up, with all that only they said."""
    for table in (hints, people, failures, assets):
        tx.execute(delete(table).where(table.c.source.in_(names)))
    tx.execute(delete(sources).where(sources.c.name.in_(names)))

"""Folders as sources: the list of them, the stored state of their files, and removing a source."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, delete, exists, insert, inspect, or_, select, update

from service.store import past_people
from service.store.assets import has_any, stamps
from service.store.chunks import chunks
from service.store.database import Store
from service.store.sources import FOLDER, REMOVED
from service.store.tables import assets, failures, hints, moved_faces, people, sources

Mode = Literal["mixed", "trusted"]


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that a user added as a source."""

    name: str
    root: Path
    mode: Mode
    follow_links: bool = False
    """Whether links that lead out of the root count."""


@dataclass(frozen=True, slots=True)
class StoredSource:
    """Any source not yet deleted from the store. ``mode`` is ``removed`` for one that the next sync deletes."""

    name: str
    kind: str
    root: str | None
    mode: str | None
    follow_links: bool = False


class FolderMemory:
    """Access to the stored state of one folder's files, for the source that lists them."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name

    async def stamps(self, asset_ids: Sequence[str]) -> Mapping[str, str]:
        return await self._store.read(stamps, self._name, asset_ids)

    async def has_any(self) -> bool:
        return await self._store.read(has_any, self._name)


def folders(tx: Connection) -> list[Folder]:
    """Return the folders that are sources, by name."""
    rows = tx.execute(
        select(sources).where(sources.c.kind == FOLDER, sources.c.mode != REMOVED).order_by(sources.c.name)
    )
    return [
        Folder(row.name, Path(row.root), "trusted" if row.mode == "trusted" else "mixed", row.follow_links)
        for row in rows
    ]


def stored_sources(tx: Connection) -> list[StoredSource]:
    """Return every source, by name."""
    rows = tx.execute(select(sources).order_by(sources.c.name))
    return [StoredSource(row.name, row.kind, row.root, row.mode, row.follow_links) for row in rows]


def has_work(tx: Connection) -> bool:
    """
    Return whether a sync has work without any Immich: a folder to list, or a source to delete.

    The database may be of an older version, even one from before there were folders.
    """
    if sources.c.mode.name not in {column["name"] for column in inspect(tx).get_columns(sources.name)}:
        return False
    return bool(tx.scalar(select(exists().where(or_(sources.c.kind == FOLDER, sources.c.mode == REMOVED)))))


def add_folder(tx: Connection, folder: Folder) -> None:
    """Add a folder as a source, or update root, mode and links of an existing one."""
    values: dict[str, Any] = {"root": str(folder.root), "mode": folder.mode, "follow_links": folder.follow_links}
    if tx.execute(update(sources).where(sources.c.name == folder.name).values(values)).rowcount == 0:
        tx.execute(insert(sources).values(name=folder.name, kind=FOLDER, user_id="", **values))


def remove_source(tx: Connection, name: str) -> None:
    """Mark a source as removed; the next sync deletes it from the store."""
    tx.execute(update(sources).where(sources.c.name == name).values(mode=REMOVED))


def forget_removed(tx: Connection, names: Sequence[str]) -> None:
    """
    Delete removed sources, with all data that only they supplied.

    Their people stay as gone ones: a source that is added again under its name has its people's numbers again. The
    knowledge that holds back pictures of minors stays too.
    """
    for some in chunks(names):
        past_people.keep_places(tx, assets.c.source.in_(some))
        past_people.keep_dates(tx, assets.c.source.in_(some))
        for table in (hints, moved_faces, failures, assets):
            tx.execute(delete(table).where(table.c.source.in_(some)))
        tx.execute(update(people).where(people.c.source.in_(some)).values(is_gone=True))
        tx.execute(delete(sources).where(sources.c.name.in_(some)))

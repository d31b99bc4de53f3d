"""The directories of the export folder as the database knows them, and the ledger of what was written and removed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from service.store.browsing.slices import Page, Slice, cut_page
from service.store.tables import export_ledger, exports


@dataclass(frozen=True, slots=True)
class ExportedDirectory:
    """One directory. ``entry``: that of the top manifest; ``digest``: of all its files are made of."""

    directory: str
    digest: str
    entry: dict[str, Any]
    written_at: datetime


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One directory that was written or removed."""

    id: int
    directory: str
    identity: int | None
    profile: str
    action: str
    faces: int
    made_by: str
    made_at: datetime


def directory_page(tx: Connection, after: str, limit: int, identity: int | None) -> list[ExportedDirectory]:
    """Return the directories behind a name, in the order of their names, and one more than the limit."""
    statement = select(exports).where(exports.c.directory > after).order_by(exports.c.directory).limit(limit + 1)
    if identity is not None:
        statement = statement.where(exports.c.entry["identity"].as_integer() == identity)
    return [_directory(row) for row in tx.execute(statement)]


def one_directory(tx: Connection, directory: str) -> ExportedDirectory | None:
    """Return one directory; None when the database knows none of this name."""
    row = tx.execute(select(exports).where(exports.c.directory == directory)).one_or_none()
    return None if row is None else _directory(row)


def ledger_page(tx: Connection, part: Slice, identity: int | None) -> Page[LedgerEntry]:
    """Return what was written and removed, the latest first."""
    statement = select(export_ledger).order_by(export_ledger.c.entry_id.desc()).limit(part.limit + 1)
    if part.after is not None:
        statement = statement.where(export_ledger.c.entry_id < part.after[1])
    if identity is not None:
        statement = statement.where(export_ledger.c.identity == identity)
    found = [LedgerEntry(*row) for row in tx.execute(statement)]
    return cut_page(found, lambda one: (0.0, one.id), part)


def _directory(row: Any) -> ExportedDirectory:
    return ExportedDirectory(row.directory, row.digest, row.entry, row.written_at)

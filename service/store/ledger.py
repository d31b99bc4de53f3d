"""The ledger of exports: what was written and removed, by whom. Nothing in it names a person who was forgotten."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from immich_facesets.exports.fsz import FSZ
from service.store.forgotten import forgotten_numbers
from service.store.tables import export_ledger

ERASED = "erased"
"""Written in place of a text that named the person."""

_LONGEST_DIRECTORY = 300  # the column's size in characters


def write_ledger(
    tx: Connection,
    directory: str,
    *,
    action: str,
    entry: dict[str, Any],
    identity: int | None,
    made_by: str,
    now: datetime,
) -> None:
    """Record an output in the ledger; of a long path, its end is stored. ``entry``: the profile, and how many faces."""
    is_forgotten = identity in forgotten_numbers(tx)
    tx.execute(
        insert(export_ledger).values(
            directory=ERASED if is_forgotten else directory[-_LONGEST_DIRECTORY:],
            identity=None if is_forgotten else identity,
            profile=entry.get("profile", FSZ.name),
            action=action,
            faces=0 if is_forgotten else entry.get("faces", 0),
            made_by=made_by,
            made_at=now,
        )
    )


def scrub_ledger(tx: Connection, numbers: Collection[int]) -> list[str]:
    """Erase what the ledger says of these people; return the directories in the export folder that it named."""
    mine = export_ledger.c.identity.in_(numbers)
    found = tx.scalars(select(export_ledger.c.directory).where(mine).order_by(export_ledger.c.directory).distinct())
    named = [directory for directory in found if not is_elsewhere(directory)]
    tx.execute(update(export_ledger).where(mine).values(directory=ERASED, identity=None, faces=0))
    return named


def is_elsewhere(directory: str) -> bool:
    """Return whether the ledger names a place on the machine, and not a directory in the export folder."""
    return directory.startswith("/") or "\\" in directory or directory[1:2] == ":"

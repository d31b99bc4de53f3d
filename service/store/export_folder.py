"""The export folder as the database knows it: whether it was there once, and whether any of it can be ours."""

from collections.abc import Collection

from sqlalchemy import Connection, Table, exists, or_, select

from service.store.named_values import read_value, write_value
from service.store.tables import export_ledger, exports, identities, imported_faces
from service.store.upsert import BOOKKEEPING

_SEEN = "export_folder_seen"


def is_first_export(tx: Connection) -> bool:
    """Return whether no export folder was ever open with this database, and nothing was ever written to one."""
    return not read_value(tx, _SEEN) and not _has_rows(tx, exports) and not _has_rows(tx, export_ledger)


def record_export_folder(tx: Connection) -> None:
    """Record that the export folder was there: from now on a missing one is not made anew."""
    write_value(tx, _SEEN, True, options=BOOKKEEPING)


def knows_people(tx: Connection) -> bool:
    """Return whether there is any person here, from a sync or an import."""
    return _has_rows(tx, identities) or _has_rows(tx, imported_faces)


def barred_identities(tx: Connection) -> frozenset[int]:
    """Return the identities that must not be exported, and those that were merged into them."""
    is_barred = or_(identities.c.never_export.is_(True), identities.c.is_stranger.is_(True))
    barred = set(tx.scalars(select(identities.c.number).where(is_barred)))
    merged = tx.execute(
        select(identities.c.number, identities.c.merged_into).where(identities.c.merged_into.is_not(None))
    )
    return frozenset(barred | {row.number for row in merged if row.merged_into in barred})


def barred_directories(tx: Connection, numbers: Collection[int]) -> list[str]:
    """
    Return the written directories that may have faces of those of these identities that must not be exported.

    Directories of everybody are among them.
    """
    barred = barred_identities(tx) & set(numbers)
    rows = tx.execute(select(exports.c.directory, exports.c.entry).order_by(exports.c.directory))
    return [row.directory for row in rows if barred and (row.entry or {}).get("identity") in {None, *barred}]


def directories_of_barred(tx: Connection) -> list[str]:
    """Return the written directories of identities that must not be exported, without those of everybody."""
    barred = barred_identities(tx)
    rows = tx.execute(select(exports.c.directory, exports.c.entry).order_by(exports.c.directory))
    return [row.directory for row in rows if (row.entry or {}).get("identity") in barred]


def _has_rows(tx: Connection, table: Table) -> bool:
    return bool(tx.scalar(select(exists(select(1).select_from(table)))))

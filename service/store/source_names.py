"""The names of sources against those in the settings: users who are not there any more, and new names."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, or_, select, update

from service.store.assets import asset_from_row
from service.store.sources import FOLDER, REMOVED
from service.store.tables import assets, failures, fingerprints, metadata, sources


def dropped_users(tx: Connection, configured: Collection[str]) -> list[str]:
    """Return the known Immich users that are not among the ``configured`` names, and were not removed."""
    is_kept = or_(sources.c.mode.is_(None), sources.c.mode != REMOVED)
    known = tx.scalars(select(sources.c.name).where(sources.c.kind != FOLDER, is_kept).order_by(sources.c.name))
    return [name for name in known if name not in configured]


def rename_source(tx: Connection, old: str, new: str) -> None:
    """Give a source another name, with everything that is known of it: nothing is fetched or numbered anew."""
    row = tx.execute(select(sources).where(sources.c.name == old)).one()
    tx.execute(delete(sources).where(sources.c.name == new))  # one that was never bound has no assets
    tx.execute(insert(sources).values(dict(row._mapping) | {"name": new}))  # noqa: SLF001 - SQLAlchemy's documented mapping access
    _rename_fingerprints(tx, old, new)
    for table in metadata.sorted_tables:
        if "source" in table.c:
            tx.execute(update(table).where(table.c.source == old).values(source=new))
    tx.execute(delete(sources).where(sources.c.name == old))


def _rename_fingerprints(tx: Connection, old: str, new: str) -> None:
    """Replace the fingerprints that hold the source's name: those of assets without a checksum."""
    rows: Any = tx.execute(select(assets).where(assets.c.source == old)).all()
    changed = [
        {"before": row.fingerprint, "after": replace(asset_from_row(row), source=new).fingerprint}
        for row in rows
        if row.fingerprint == asset_from_row(row).fingerprint
    ]
    changed = [pair for pair in changed if pair["before"] != pair["after"]]
    if not changed:
        return
    for table, column in ((assets, "fingerprint"), (fingerprints, "fingerprint"), (failures, "item")):
        known = table.c[column] == bindparam("before")
        tx.execute(update(table).where(known).values({column: bindparam("after")}), changed)

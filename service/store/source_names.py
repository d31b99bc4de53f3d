"""The names of sources against those in the settings: users who are not there any more, and new names."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from sqlalchemy import Column, Connection, bindparam, delete, exists, insert, or_, select, update

from service.store.assets import asset_from_row
from service.store.decisions import rename_in_decisions
from service.store.sources import FOLDER, REMOVED
from service.store.tables import assets, failures, fingerprints, metadata, people, sources

NAMING_COLUMNS = ("source", "named_by_source")
"""The columns that hold the name of a source."""


def dropped_users(tx: Connection, configured: Collection[str]) -> list[str]:
    """Return the known Immich users that are not among the ``configured`` names, and were not removed."""
    is_kept = or_(sources.c.mode.is_(None), sources.c.mode != REMOVED)
    known = tx.scalars(select(sources.c.name).where(sources.c.kind != FOLDER, is_kept).order_by(sources.c.name))
    return [name for name in known if name not in configured]


def sources_in_use(tx: Connection, users: Collection[str] | None) -> list[str]:
    """
    Return the sources that syncs read: the folders, and the Immich users in the settings, but no removed source.

    ``users``: the names of those users; None counts all that are known.
    """
    is_kept = or_(sources.c.mode.is_(None), sources.c.mode != REMOVED)
    known = tx.execute(select(sources.c.name, sources.c.kind).where(is_kept).order_by(sources.c.name))
    return [row.name for row in known if row.kind == FOLDER or users is None or row.name in users]


def rename_source(tx: Connection, old: str, new: str) -> None:
    """
    Give a source another name, with everything that is known of it: nothing is fetched or numbered anew.

    A removed source of the new name may have left people and birth dates; those of ``old`` take the place of its own.
    """
    row = tx.execute(select(sources).where(sources.c.name == old)).one()
    tx.execute(delete(sources).where(sources.c.name == new))  # one that was never bound has no assets
    tx.execute(insert(sources).values(dict(row._mapping) | {"name": new}))  # noqa: SLF001 - SQLAlchemy's documented mapping access
    _rename_fingerprints(tx, old, new)
    _take_over_links(tx, old, new)
    rename_in_decisions(tx, old, new)
    for table in metadata.sorted_tables:
        for column in table.c:
            if column.name in NAMING_COLUMNS:
                _delete_twins(tx, column, old, new)
                tx.execute(update(table).where(column == old).values({column.name: new}))
    tx.execute(delete(sources).where(sources.c.name == old))


def _take_over_links(tx: Connection, old: str, new: str) -> None:
    """Give people of ``old`` without an identity the identity that the same person of ``new`` had."""
    before = people.alias()
    linked = (
        select(before.c.identity)
        .where(before.c.source == new, before.c.person_id == people.c.person_id)
        .scalar_subquery()
    )
    mine = update(people).where(people.c.source == old, people.c.identity.is_(None), linked.is_not(None))
    tx.execute(mine.values(identity=linked))


def _delete_twins(tx: Connection, column: Column[Any], old: str, new: str) -> None:
    """Delete the rows of ``new`` whose primary key a row of ``old`` would get."""
    table, twin = column.table, column.table.alias()
    key = [one for one in table.primary_key if one.name != column.name]
    if column.primary_key:
        same = (twin.c[one.name] == table.c[one.name] for one in key)
        tx.execute(delete(table).where(column == new, exists().where(twin.c[column.name] == old, *same)))


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

"""Insert-or-update, which every database spells its own way."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

_ROWS_AT_ONCE = 500  # SQLite allows 32,766 variables in one statement; executemany needs no limit, memory does


def upsert(
    tx: Connection, table: Table, rows: Sequence[Mapping[str, Any]], *, keep: Sequence[str] | None = None
) -> None:
    """
    Insert rows; where the primary key exists, update every given column but those in ``keep``.

    With ``keep`` naming every column, an existing row stays as it is. All rows must have the same keys.
    """
    if not rows:
        return
    key = [column.name for column in table.primary_key.columns]
    insert = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    kept = {*key, *(keep or ())}
    names = [name for name in rows[0] if name not in kept]
    statement = insert(table)
    changed = {name: statement.excluded[name] for name in names}
    final = (
        statement.on_conflict_do_update(index_elements=key, set_=changed)
        if changed
        else statement.on_conflict_do_nothing(index_elements=key)
    )
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        tx.execute(final, list(rows[start : start + _ROWS_AT_ONCE]))

"""Insert-or-update, for which every database has its own syntax."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import JSON, Connection, Table, or_
from sqlalchemy.dialects import postgresql, sqlite

BOOKKEEPING = {"facesets_bookkeeping": True}
"""Execution options of a bookkeeping statement, which only changes when something was seen or done."""

_ROWS_AT_ONCE = 500  # each row is a statement of its own (executemany); this bounds memory


def upsert(
    tx: Connection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    keep: Collection[str] = (),
    options: Mapping[str, Any] | None = None,
) -> None:
    """
    Insert rows; where the primary key exists, update every given column but those in ``keep``.

    If ``keep`` names every column, an existing row stays unchanged. A row with equal values is not written again
    (unless it holds JSON, which PostgreSQL does not compare). All rows must have the same keys. ``options`` are the
    statement's execution options.
    """
    if not rows:
        return
    key = [column.name for column in table.primary_key.columns]
    insert = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    kept = {*key, *keep}
    names = [name for name in rows[0] if name not in kept]
    statement = insert(table)
    changed = {name: statement.excluded[name] for name in names}
    is_comparable = bool(changed) and not any(isinstance(table.c[name].type, JSON) for name in names)
    differs = or_(*(table.c[name].is_distinct_from(new) for name, new in changed.items())) if is_comparable else None
    final = (
        statement.on_conflict_do_update(index_elements=key, set_=changed, where=differs)
        if changed
        else statement.on_conflict_do_nothing(index_elements=key)
    )
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        tx.execute(final, list(rows[start : start + _ROWS_AT_ONCE]), execution_options=options or {})

"""
Statements about any number of keys, in chunks.

A statement takes 32,766 parameters on SQLite and 65,535 on PostgreSQL. So no statement lists keys whose number grows
with the library but by these functions.
"""

from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, delete, select
from sqlalchemy.schema import Column

T = TypeVar("T")

KEYS_AT_ONCE = 500
"""Far below every limit; more at once are hardly faster."""


def chunks(keys: Collection[T]) -> Iterator[Sequence[T]]:
    """Yield the keys in their order, as many at a time as a statement may list."""
    rest = iter(keys)
    while some := list(islice(rest, KEYS_AT_ONCE)):
        yield some


def delete_others(tx: Connection, key: Column[Any], kept: Collection[Any], *where: ColumnElement[bool]) -> None:
    """Delete the rows of ``key``'s table that meet the conditions and have none of the ``kept`` keys."""
    others = set(tx.scalars(select(key).where(*where))).difference(kept)
    for some in chunks(sorted(others)):
        tx.execute(delete(key.table).where(*where, key.in_(some)))

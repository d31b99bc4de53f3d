"""
Random tokens in the database that change whenever data changes: one for syncs, and a version of each table for readers.

The token of the state is renewed in every transaction with a statement that wrote a row, whatever it wrote. Exempt are tables
that only log events or questions, statements marked as bookkeeping (``BOOKKEEPING``), and writes derived from other state
(``consequences``). A statement that was not considered here causes at most a sync without work; no change is missed.

Readers keep what they read by the versions of the tables that their statements name (`service.store.browsing.kept`). Derived
writes renew these, too. They are read with the data in one snapshot, so that equal versions are equal data, whichever process
wrote them. Tables that only log have none.
"""

import re
import secrets
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Engine, event, select

from service.store.named_values import read_value
from service.store.tables import (
    export_ledger,
    exports,
    facts,
    failures,
    memberships,
    metadata,
    review_items,
    sync_runs,
)
from service.store.upsert import BOOKKEEPING, upsert

_STATE = "state"
_CHANGED = "facesets_changed"
_IN_PLACE = "facesets_in_place"
_READ = "facesets_read"
_IS_CONSEQUENCE: ContextVar[bool] = ContextVar("is_consequence", default=False)
LOG_TABLES = frozenset(table.name for table in (export_ledger, exports, failures, review_items, sync_runs))

OF_NOBODY = "pictures of nobody"
"""The version of pictures and crops as far as nobody is shown with them: of faces without a person, and of checks."""

MOVED_FACES = "moved faces"
"""The version of memberships as far as faces alone moved from one identity to another."""

VERSIONED = frozenset({*metadata.tables, OF_NOBODY, MOVED_FACES}) - LOG_TABLES
"""The names of all versions: those of tables, and the two above."""

_PREFIX = "version of "
VERSION_FACTS = tuple(sorted(_PREFIX + name for name in VERSIONED))
"""The names of the facts that hold versions."""

_WORD = re.compile(r"\w+")

Versions = Mapping[str, str]
"""Versions by name; one that was never renewed is missing."""


def watch(engine: Engine) -> None:
    """Track what this engine's statements write, and which tables they name while ``reading`` asks for it."""

    @event.listens_for(engine, "after_cursor_execute")
    def on_execute(
        connection: Connection, cursor: Any, statement: str, _parameters: Any, context: Any, _many: bool
    ) -> None:
        if connection.info.get(_READ) is not None:
            note_read(connection, _named_in(statement))
        if not (context.isinsert or context.isupdate or context.isdelete) or cursor.rowcount == 0:
            return
        table = context.compiled.statement.table.name
        if table in LOG_TABLES or context.execution_options.keys() & BOOKKEEPING.keys():
            return
        tables = _emptied_with(table) if context.isdelete else frozenset({table})
        connection.info.setdefault(_CHANGED, set()).update(connection.info.get(_IN_PLACE) or tables)


@lru_cache(maxsize=1000)
def _named_in(statement: str) -> frozenset[str]:
    """Return the versions on which the rows of a statement depend; the names of tables without a version are among them."""
    tables = metadata.tables.keys() & set(_WORD.findall(statement))
    of_others = {OF_NOBODY} if tables & _PICTURES else set[str]()
    return frozenset(tables | of_others | ({MOVED_FACES} if memberships.name in tables else set()))


@lru_cache
def _emptied_with(table: str) -> frozenset[str]:
    """Return a table with those whose rows go with its rows."""
    below = {
        one.name
        for one in metadata.tables.values()
        for key in one.foreign_keys
        if key.column.table.name == table and key.ondelete is not None
    }
    return frozenset({table}).union(*map(_emptied_with, below)) - LOG_TABLES


_PICTURES = frozenset({"assets", "contents", "embeddings", "fingerprints"}) | _emptied_with("faces") - {"memberships"}
"""The tables of which rows may be about pictures that show nobody, and faces without a person."""


@contextmanager
def reading(tx: Connection) -> Iterator[set[str]]:
    """Yield the names of the versions on which the statements inside this context depend, without those of a context in it."""
    info, found = tx.info, set[str]()  # a connection that was lost has no info any more
    outer = info.get(_READ)
    info[_READ] = found
    try:
        yield found
    finally:
        info[_READ] = outer


def note_read(tx: Connection, names: Collection[str]) -> None:
    """Add versions to those of the innermost ``reading``, if there is one."""
    found: set[str] | None = tx.info.get(_READ)
    if found is not None:
        found.update(names)


@contextmanager
def renewing(tx: Connection, version: str | None) -> Iterator[None]:
    """Let the writes inside this context renew one version in place of those of their tables; None changes nothing."""
    info = tx.info  # a connection that was lost has no info any more
    info[_IN_PLACE] = frozenset() if version is None else frozenset({version})
    try:
        yield
    finally:
        info.pop(_IN_PLACE, None)


@contextmanager
def consequences() -> Iterator[None]:
    """Mark writes inside this context, by this task and tasks it starts, as derived: they do not renew the token."""
    before = _IS_CONSEQUENCE.set(True)
    try:
        yield
    finally:
        _IS_CONSEQUENCE.reset(before)


def forget(tx: Connection) -> None:
    """Reset the tracking at the beginning of a transaction."""
    tx.info.pop(_CHANGED, None)


def has_changed(tx: Connection) -> bool:
    """Return whether this transaction changed the state, derived or not."""
    return bool(tx.info.get(_CHANGED))


def mark(tx: Connection) -> None:
    """Renew the token and the versions at the end of a transaction that changed the state."""
    if not has_changed(tx):
        return
    names = sorted(_PREFIX + name for name in tx.info[_CHANGED])
    if not _IS_CONSEQUENCE.get():
        names.append(_STATE)
    rows = [{"name": name, "value": secrets.token_hex(8)} for name in names]
    upsert(tx, facts, rows, options=BOOKKEEPING)


def read_state(tx: Connection) -> str | None:
    """Return the token; None until something is written."""
    state: str | None = read_value(tx, _STATE)
    return state


def read_versions(tx: Connection) -> Versions:
    """Return the versions of what this transaction sees."""
    rows: Any = tx.execute(select(facts.c.name, facts.c.value).where(facts.c.name.in_(VERSION_FACTS)))
    return {row.name.removeprefix(_PREFIX): row.value for row in rows}

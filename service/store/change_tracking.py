"""
A random token that changes whenever the data behind people and their face sets changes.

The token is renewed in every transaction with a statement that wrote a row, whatever it wrote. Exempt are tables that
only log events or questions, statements marked as bookkeeping (``BOOKKEEPING``), and writes derived from other state (``consequences``).
A statement that was not considered here causes at most a sync without work; no change is missed.

Readers keep what they read by a second token, the version. Derived writes renew it, too. It is read with the data in one
snapshot, so that equal versions are equal data, whichever process wrote them.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, event, select

from service.store.named_values import read_value
from service.store.tables import assets, export_ledger, exports, facts, failures, review_items, sync_runs
from service.store.upsert import BOOKKEEPING, upsert

_STATE = "state"
VERSION = "version"
VERSION_OF_ASSETS = "version of assets"
_CHANGED = "facesets_changed"
_CHANGED_ASSETS = "facesets_changed_assets"
_IS_CONSEQUENCE: ContextVar[bool] = ContextVar("is_consequence", default=False)
_LOG_TABLES = frozenset(table.name for table in (export_ledger, exports, failures, review_items, sync_runs))


@dataclass(frozen=True, slots=True)
class Version:
    """The version of all data behind people and face sets, and that of the assets alone; None until something is written."""

    data: str | None
    assets: str | None


def watch(engine: Engine) -> None:
    """Track the writes of this engine's statements."""

    @event.listens_for(engine, "after_cursor_execute")
    def on_execute(
        connection: Connection, cursor: Any, _statement: str, _parameters: Any, context: Any, _many: bool
    ) -> None:
        if not (context.isinsert or context.isupdate or context.isdelete) or cursor.rowcount == 0:
            return
        table = context.compiled.statement.table.name
        if table not in _LOG_TABLES and not context.execution_options.keys() & BOOKKEEPING.keys():
            connection.info[_CHANGED] = True
            if table == assets.name:
                connection.info[_CHANGED_ASSETS] = True


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
    tx.info.pop(_CHANGED_ASSETS, None)


def has_changed(tx: Connection) -> bool:
    """Return whether this transaction changed the state, derived or not."""
    return bool(tx.info.get(_CHANGED))


def mark(tx: Connection) -> None:
    """Renew the token and the versions at the end of a transaction that changed the state."""
    if not has_changed(tx):
        return
    names = [VERSION]
    if tx.info.get(_CHANGED_ASSETS):
        names.append(VERSION_OF_ASSETS)
    if not _IS_CONSEQUENCE.get():
        names.append(_STATE)
    upsert(tx, facts, [{"name": name, "value": secrets.token_hex(8)} for name in names])


def read_state(tx: Connection) -> str | None:
    """Return the token; None until something is written."""
    state: str | None = read_value(tx, _STATE)
    return state


def read_version(tx: Connection) -> Version:
    """Return the version of what this transaction sees."""
    rows: Any = tx.execute(select(facts.c.name, facts.c.value).where(facts.c.name.in_((VERSION, VERSION_OF_ASSETS))))
    found = {row.name: row.value for row in rows}
    return Version(found.get(VERSION), found.get(VERSION_OF_ASSETS))

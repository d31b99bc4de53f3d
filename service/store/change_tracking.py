"""
Whether anything changed that people and their face sets follow from: a random word, renewed in every transaction that did.

Every statement that wrote a row counts, whatever it wrote, but for the tables that only tell what happened, for
statements that say themselves that they only keep books, and for what is written as a consequence of the rest. A statement
nobody thought of here costs a sync that finds nothing to do; it is never missed.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from sqlalchemy import Connection, Engine, event

from service.store.facts import read_fact
from service.store.tables import export_ledger, exports, facts, failures, sync_runs
from service.store.upsert import BOOKS, upsert

_STATE = "state"
_CHANGED = "facesets_changed"
_IS_CONSEQUENCE: ContextVar[bool] = ContextVar("is_consequence", default=False)
_TOLD = frozenset(table.name for table in (export_ledger, exports, failures, sync_runs))


def watch(engine: Engine) -> None:
    """Notice what the statements of this engine write."""

    @event.listens_for(engine, "after_cursor_execute")
    def on_execute(
        connection: Connection, cursor: Any, _statement: str, _parameters: Any, context: Any, _many: bool
    ) -> None:
        if not (context.isinsert or context.isupdate or context.isdelete) or cursor.rowcount == 0:
            return
        if context.compiled.statement.table.name not in _TOLD and not context.execution_options.keys() & BOOKS.keys():
            connection.info[_CHANGED] = True


@contextmanager
def consequences() -> Iterator[None]:
    """What is written in here, by this task and those it starts, follows from the state and leaves it as it is."""
    before = _IS_CONSEQUENCE.set(True)
    try:
        yield
    finally:
        _IS_CONSEQUENCE.reset(before)


def forget(tx: Connection) -> None:
    """At the beginning of a transaction."""
    tx.info.pop(_CHANGED, None)


def mark(tx: Connection) -> None:
    """At the end of a transaction: what it wrote gives the library another state."""
    if tx.info.get(_CHANGED) and not _IS_CONSEQUENCE.get():
        upsert(tx, facts, [{"name": _STATE, "value": secrets.token_hex(8)}])


def read_state(tx: Connection) -> str | None:
    """The word; None until something is written."""
    state: str | None = read_fact(tx, _STATE)
    return state

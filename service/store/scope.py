"""What the last grouping looked at: one fact."""

from datetime import datetime

import msgspec
from sqlalchemy import Connection

from service.store.facts import read_fact, write_fact

_SCOPE = "grouped"


class Scope(msgspec.Struct, frozen=True):
    """What the last grouping went by, the highest face id it saw, and when all faces were looked at."""

    basis: str
    upto: int
    whole_at: datetime


def read_scope(tx: Connection) -> Scope | None:
    """Of the last grouping; None before the first, or when another version wrote it."""
    try:
        return msgspec.convert(read_fact(tx, _SCOPE), Scope | None)
    except msgspec.ValidationError:
        return None


def write_scope(tx: Connection, scope: Scope) -> None:
    """Remember what was looked at."""
    write_fact(tx, _SCOPE, msgspec.to_builtins(scope))


def forget_scope(tx: Connection) -> None:
    """The next grouping looks at all faces."""
    write_fact(tx, _SCOPE, None)

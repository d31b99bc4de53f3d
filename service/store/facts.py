"""Small named facts: settings that stored results depend on."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from immich_facesets.calibration.thresholds import PointsInUse
from service.store.tables import facts
from service.store.upsert import BOOKS, upsert


def read_fact(tx: Connection, name: str) -> Any:
    """The value of a fact (anything JSON holds), None when it was never written."""
    return tx.scalar(select(facts.c.value).where(facts.c.name == name))


def write_fact(tx: Connection, name: str, value: Any, *, options: Mapping[str, Any] | None = None) -> None:
    """Remember a fact; ``options`` as `upsert` takes them."""
    upsert(tx, facts, [{"name": name, "value": value}], options=options)


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


_SETTLED = "settled"


class CompleteSync(msgspec.Struct, frozen=True):
    """
    ``state``: of the store; ``basis``: of everything else a sync goes by; ``outline``: of the export folder, which then
    held so many face sets.
    """

    state: str | None
    basis: str
    outline: str
    facesets: int
    at: datetime


def read_last_complete_sync(tx: Connection) -> CompleteSync | None:
    """Of the last such sync; None before the first, or when another version wrote it."""
    try:
        return msgspec.convert(read_fact(tx, _SETTLED), CompleteSync | None)
    except msgspec.ValidationError:
        return None


def write_last_complete_sync(tx: Connection, settled: CompleteSync | None) -> None:
    """Remember it; with None nothing is settled until another sync comes to its end."""
    write_fact(tx, _SETTLED, msgspec.to_builtins(settled), options=BOOKS)


_THRESHOLDS = "thresholds"


def read_thresholds(tx: Connection) -> PointsInUse | None:
    """What the last grouping decided at; None before the first one, or when another version wrote it."""
    try:
        return msgspec.convert(read_fact(tx, _THRESHOLDS), PointsInUse | None)
    except msgspec.ValidationError:
        return None


def write_thresholds(tx: Connection, used: PointsInUse) -> None:
    """Remember what is decided at."""
    write_fact(tx, _THRESHOLDS, msgspec.to_builtins(used))

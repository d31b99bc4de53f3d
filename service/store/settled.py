"""What the last sync that came to its end left behind: one fact."""

from datetime import datetime

import msgspec
from sqlalchemy import Connection

from service.store.changes import BOOKS
from service.store.facts import read_fact, write_fact

_SETTLED = "settled"


class Settled(msgspec.Struct, frozen=True):
    """
    ``state``: of the store; ``basis``: of everything else a sync goes by; ``outline``: of the export folder, which then
    held so many face sets.
    """

    state: str | None
    basis: str
    outline: str
    facesets: int
    at: datetime


def read_settled(tx: Connection) -> Settled | None:
    """Of the last such sync; None before the first, or when another version wrote it."""
    try:
        return msgspec.convert(read_fact(tx, _SETTLED), Settled | None)
    except msgspec.ValidationError:
        return None


def write_settled(tx: Connection, settled: Settled | None) -> None:
    """Remember it; with None nothing is settled until another sync comes to its end."""
    write_fact(tx, _SETTLED, msgspec.to_builtins(settled), options=BOOKS)

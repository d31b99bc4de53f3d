"""Reads on consistent snapshots, in threads of their own: what the store and the libraries of single users share."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from sqlalchemy import Connection, Engine

P = ParamSpec("P")
T = TypeVar("T")

READERS = 2
"""The reads of a database at a time; others wait."""


class Reader(Protocol):
    """The reads of the whole database, or of the part that one user sees."""

    async def read(self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one function on a consistent snapshot."""


def options_of_reads(engine: Engine) -> dict[str, Any]:
    """Return the execution options of a transaction that reads, and sees the same state from its first statement on."""
    options: dict[str, Any] = {"facesets_read_only": True}
    if engine.dialect.name == "postgresql":  # there a transaction sees what others commit, but at this level
        options["isolation_level"] = "REPEATABLE READ"
    return options


async def run_in(pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    """Run a transaction in a thread; a started commit completes even when its caller is cancelled."""
    begun = asyncio.get_running_loop().run_in_executor(pool, work)
    begun.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # the error of a cancelled caller
    return await asyncio.shield(begun)

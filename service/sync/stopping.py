"""The end of work after a stop was requested: between two items, or a few seconds later."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_END_SECONDS = 3.0


class StopRequestedError(Exception):
    """A requested stop that ended the work between two items."""


async def until_stopped(work: asyncio.Task[T], stop: asyncio.Event) -> None:
    """
    Return when the work is done, or soon after a stop is requested.

    Items in progress may finish; after 3 seconds they are cancelled, which loses no completed work.
    """
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([work, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    await asyncio.wait([work], timeout=_END_SECONDS)
    work.cancel()
    await asyncio.wait([work])


async def unless_stopped(work: Coroutine[Any, Any, T], stop: asyncio.Event) -> T | None:
    """Return the result of the work; None when a requested stop ended it first."""
    task = asyncio.create_task(work)
    await until_stopped(task, stop)
    if task.cancelled() or isinstance(task.exception(), StopRequestedError):
        return None
    return task.result()

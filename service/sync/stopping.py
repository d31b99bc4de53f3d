"""The end of work after a stop was requested: between two items, or a few seconds later."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Literal, TypeVar

T = TypeVar("T")

_END_SECONDS = 3.0


class StopRequestedError(Exception):
    """A requested stop that ended the work between two items."""


class JobStop(asyncio.Event):
    """The stop of one job: it is set when the job is cancelled, and while that of the whole process is set."""

    def __init__(self, process: asyncio.Event) -> None:
        super().__init__()
        self._process = process

    def is_set(self) -> bool:
        return super().is_set() or self._process.is_set()

    async def wait(self) -> Literal[True]:
        waiting = [asyncio.create_task(super().wait()), asyncio.create_task(self._process.wait())]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        return True


async def until_stopped(work: asyncio.Task[T], stop: asyncio.Event) -> None:
    """
    Return when the work is done, or soon after a stop is requested.

    Items in progress may finish; after 3 seconds they are cancelled, which loses no completed work. A caller that is
    cancelled cancels the work.
    """
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([work, stopping], return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait([work], timeout=_END_SECONDS)
    finally:
        stopping.cancel()
        work.cancel()
        await asyncio.wait([work])


async def unless_stopped(work: Coroutine[Any, Any, T], stop: asyncio.Event) -> T | None:
    """Return the result of the work; None when a requested stop ended it first."""
    task = asyncio.create_task(work)
    await until_stopped(task, stop)
    if task.cancelled() or isinstance(task.exception(), StopRequestedError):
        return None
    return task.result()

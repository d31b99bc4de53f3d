"""Long computations beside the event loop, which end soon after their caller is cancelled."""

import asyncio
import contextlib
from collections.abc import Callable
from threading import Event
from typing import ParamSpec, TypeVar

from immich_facesets.checkpoints import checked_by

P = ParamSpec("P")
T = TypeVar("T")


class AbandonedError(Exception):
    """The end of a computation whose result is no longer awaited; it never reaches a user."""


async def compute(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """
    Call a blocking function in a thread.

    A thread cannot be killed. So when the caller is cancelled, the function ends at its next checkpoint, and the caller
    waits for that: what the function writes is no longer under way when a lock of the caller is free again.
    """
    abandoned = Event()

    def check() -> None:
        if abandoned.is_set():
            raise AbandonedError

    def work() -> T:
        with checked_by(check):
            return function(*args, **kwargs)

    thread = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        abandoned.set()
        await asyncio.wait([thread])
        with contextlib.suppress(Exception, asyncio.CancelledError):
            thread.result()  # nobody awaits it any more
        raise

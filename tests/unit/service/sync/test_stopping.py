"""Work after a requested stop: it may finish its item, and is cancelled soon."""

import asyncio

import pytest

from service.sync.stopping import StopRequestedError, unless_stopped


async def test_work_that_nobody_stops_gives_its_result() -> None:
    async def work() -> int:
        return 5

    assert await unless_stopped(work(), asyncio.Event()) == 5


async def test_work_ends_between_two_items_after_a_stop() -> None:
    stop = asyncio.Event()

    async def work() -> int:
        await stop.wait()
        raise StopRequestedError

    stop.set()
    assert await unless_stopped(work(), stop) is None


async def test_work_that_does_not_end_is_cancelled() -> None:
    stop, was_cancelled = asyncio.Event(), asyncio.Event()

    async def work() -> int:
        try:
            await asyncio.Event().wait()
        finally:
            was_cancelled.set()
        return 5

    stop.set()
    assert await unless_stopped(work(), stop) is None
    assert was_cancelled.is_set()


async def test_an_error_of_the_work_reaches_the_caller() -> None:
    async def work() -> None:
        raise LookupError("not found")

    with pytest.raises(LookupError, match="not found"):
        await unless_stopped(work(), asyncio.Event())

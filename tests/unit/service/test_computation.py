"""A long computation leaves the event loop free, and ends soon after nobody awaits it."""

import asyncio
import threading
import time

import pytest

from immich_facesets.checkpoints import checkpoint
from service.computation import AbandonedError, compute


async def test_a_computation_gives_its_result() -> None:
    assert await compute(divmod, 7, 2) == (3, 1)


async def test_an_error_reaches_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        await compute(divmod, 7, 0)


async def test_a_cancelled_computation_ends_at_its_next_checkpoint() -> None:
    begun, ended = threading.Event(), threading.Event()
    errors: list[type[BaseException]] = []

    def endless() -> None:
        try:
            while True:
                begun.set()
                time.sleep(0.001)
                checkpoint()
        except BaseException as error:
            errors.append(type(error))
            raise
        finally:
            ended.set()

    task = asyncio.create_task(compute(endless))
    assert await asyncio.to_thread(begun.wait, 60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set(), "the thread has ended when the caller goes on"
    assert errors == [AbandonedError]


async def test_a_cancelled_computation_leaves_others_alone() -> None:
    def count() -> int:
        for _ in range(100):
            time.sleep(0.001)
            checkpoint()
        return 100

    first, second = asyncio.create_task(compute(count)), asyncio.create_task(compute(count))
    await asyncio.sleep(0.01)
    first.cancel()
    assert await second == 100

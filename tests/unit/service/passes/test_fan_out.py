"""Bounded concurrency over many items: the limit, the order, and the first error."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from immich_facesets.errors import SetupError, TransientError
from service.passes.fan_out import fan_out, first_error


async def each(items: Sequence[int]) -> AsyncIterator[int]:
    for item in items:
        await asyncio.sleep(0)
        yield item


class Bench:
    """A worker that counts concurrent items."""

    def __init__(self, *, steps: int = 50) -> None:
        self.begun: list[int] = []
        self.done: list[int] = []
        self.most = 0
        self._steps = steps

    async def work(self, item: int) -> None:
        self.begun.append(item)
        self.most = max(self.most, len(self.begun) - len(self.done))
        for _ in range(self._steps):
            await asyncio.sleep(0)
        self.done.append(item)


@pytest.mark.parametrize(("items", "workers"), [(20, 4), (3, 8), (5, 1), (0, 4)])
async def test_every_item_is_done_once_by_no_more_workers_than_there_are(items: int, workers: int) -> None:
    bench = Bench()
    await fan_out(each(range(items)), bench.work, workers=workers, stop=asyncio.Event())
    assert bench.begun == list(range(items)), "begun in order"
    assert sorted(bench.done) == list(range(items))
    assert bench.most == min(items, workers)


async def test_zero_is_an_item_like_any_other() -> None:
    bench = Bench()
    await fan_out(each([0, 0, 1]), bench.work, workers=2, stop=asyncio.Event())
    assert sorted(bench.done) == [0, 0, 1]


async def test_after_a_stop_nothing_is_begun_and_what_is_begun_is_finished() -> None:
    bench, stop = Bench(), asyncio.Event()

    async def work(item: int) -> None:
        if item == 4:
            stop.set()
        await bench.work(item)

    await fan_out(each(range(100)), work, workers=3, stop=stop)
    assert 5 <= len(bench.begun) <= 7
    assert sorted(bench.done) == sorted(bench.begun)


async def test_the_first_error_ends_the_others_and_is_raised_itself() -> None:
    ended: list[int] = []

    async def work(item: int) -> None:
        if item == 2:
            raise SetupError("the key was revoked")
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(item)

    with pytest.raises(SetupError, match="the key was revoked"):
        await fan_out(each(range(100)), work, workers=3, stop=asyncio.Event())
    assert sorted(ended) == [0, 1]


async def test_an_error_of_the_list_itself_is_raised() -> None:
    async def broken() -> AsyncIterator[int]:
        yield 1
        raise TransientError("the database is locked")

    bench = Bench()
    with pytest.raises(TransientError, match="the database is locked"):
        await fan_out(broken(), bench.work, workers=2, stop=asyncio.Event())


async def test_a_cancelled_caller_leaves_no_worker_running() -> None:
    ended: list[int] = []

    async def work(item: int) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(item)

    call = asyncio.create_task(fan_out(each(range(9)), work, workers=3, stop=asyncio.Event()))
    for _ in range(20):
        await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert sorted(ended) == [0, 1, 2]


def test_the_first_error_of_a_group_of_groups() -> None:
    inner = ExceptionGroup("inner", [TransientError("one"), SetupError("two")])
    error = first_error(BaseExceptionGroup("outer", [inner, SetupError("three")]))
    assert isinstance(error, TransientError)
    assert str(error) == "one"

"""The pacer: its concurrency limit falls at once under failures and rises slowly."""

import asyncio

import pytest

from immich_facesets.errors import ItemError, TransientError
from service.remote.pacing import CALM_ROUNDS, LATENCY_SAMPLES, Pacer


class Watch:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


async def fail(pacer: Pacer, error: Exception) -> None:
    with pytest.raises(type(error)):
        async with pacer.slot():
            raise error


async def answer(pacer: Pacer, watch: Watch, seconds: float, kind: str = "search") -> None:
    async with pacer.slot(kind) as slot:
        watch.seconds += seconds
        slot.answered()


async def busy_round(pacer: Pacer) -> None:
    """Make as many calls at once as the limit allows, all successful."""
    together = asyncio.Barrier(pacer.limit)

    async def call() -> None:
        async with pacer.slot():
            await together.wait()

    await asyncio.gather(*(call() for _ in range(pacer.limit)))


async def test_never_more_are_under_way_than_the_limit() -> None:
    pacer = Pacer(start=3, most=3)
    under_way = peak = 0

    async def call() -> None:
        nonlocal under_way, peak
        async with pacer.slot():
            under_way += 1
            peak = max(peak, under_way)
            await asyncio.sleep(0)
            under_way -= 1

    await asyncio.gather(*(call() for _ in range(20)))
    assert peak == 3


async def test_failures_halve_the_limit_down_to_one() -> None:
    watch = Watch()
    pacer = Pacer(clock=watch)
    limits = []
    for _ in range(5):
        watch.seconds += 1
        await fail(pacer, TransientError("busy"))
        limits.append(pacer.limit)
    assert limits == [4, 2, 1, 1, 1]


async def test_calls_that_fail_together_halve_it_only_once() -> None:
    watch = Watch()
    pacer = Pacer(clock=watch)
    together = asyncio.Barrier(8)

    async def call() -> None:
        async with pacer.slot():
            await together.wait()
            watch.seconds += 0.1
            raise TransientError("busy")

    errors = await asyncio.gather(*(call() for _ in range(8)), return_exceptions=True)
    assert len(errors) == 8
    assert pacer.limit == 4


async def test_an_error_about_one_item_does_not_count_as_a_failure() -> None:
    pacer = Pacer()
    await fail(pacer, ItemError("gone", reason="not_found"))
    assert pacer.limit == 8


async def test_calm_makes_it_grow_slowly_and_never_above_the_most() -> None:
    watch = Watch()
    pacer = Pacer(start=8, most=8, clock=watch)
    watch.seconds = 1
    await fail(pacer, TransientError("busy"))
    assert pacer.limit == 4
    rounds = 0
    while pacer.limit < 8:
        await busy_round(pacer)
        rounds += 1
    assert rounds >= 4 * CALM_ROUNDS
    for _ in range(10 * CALM_ROUNDS):
        await busy_round(pacer)
    assert pacer.limit == 8


async def test_an_unused_limit_does_not_grow() -> None:
    pacer = Pacer(start=2, most=8)
    for _ in range(100):
        async with pacer.slot():
            pass
    assert pacer.limit == 2


async def test_a_jump_of_the_latency_halves_it() -> None:
    watch = Watch()
    pacer = Pacer(clock=watch)
    for _ in range(LATENCY_SAMPLES):
        await answer(pacer, watch, 0.2)
    await answer(pacer, watch, 0.9)
    assert pacer.limit == 8
    await answer(pacer, watch, 2.0)
    assert pacer.limit == 4


async def test_a_kind_of_call_that_is_always_slow_is_no_failure() -> None:
    watch = Watch()
    pacer = Pacer(clock=watch)
    for _ in range(LATENCY_SAMPLES):
        await answer(pacer, watch, 0.2, "faces")
    for _ in range(2 * LATENCY_SAMPLES):
        await answer(pacer, watch, 5.0, "search")
    assert pacer.limit == 8


async def test_a_cancelled_call_releases_its_slot() -> None:
    pacer = Pacer(start=1, most=1)

    async def hang() -> None:
        async with pacer.slot():
            await asyncio.Event().wait()

    task = asyncio.create_task(hang())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(1), pacer.slot():
        pass

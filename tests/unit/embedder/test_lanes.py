"""Worker lanes: every item ends exactly once, and a lane that cannot go on reports it."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Sequence

import pytest

from embedder.lanes import Lane, LaneClosedError, LaneSize

Deaths = list[tuple[str, BaseException]]


def lane(work: object = None, *, size: LaneSize | None = None, deaths: Deaths | None = None) -> Lane[int, int]:
    def double(items: Sequence[int]) -> list[int]:
        return [2 * item for item in items]

    told = [] if deaths is None else deaths
    chosen = work if callable(work) else double
    return Lane("test", chosen, size or LaneSize(), on_crash=lambda name, error: told.append((name, error)))


async def test_every_item_gets_its_own_result() -> None:
    doubling = lane(size=LaneSize(workers=2, batch=3))
    assert await asyncio.gather(*(doubling.run(item) for item in range(50))) == [2 * item for item in range(50)]
    assert await doubling.run_many(range(50)) == [2 * item for item in range(50)]
    doubling.close(wait_seconds=2)


async def test_items_that_wait_are_worked_on_together_up_to_the_batch() -> None:
    gate, sizes = threading.Event(), list[int]()

    def work(items: Sequence[int]) -> list[int]:
        gate.wait(10)
        sizes.append(len(items))
        return list(items)

    batching = lane(work, size=LaneSize(batch=4))
    first = asyncio.create_task(batching.run(0))
    await asyncio.sleep(0.05)
    rest = asyncio.create_task(batching.run_many(range(9)))
    await asyncio.sleep(0.05)
    gate.set()
    await asyncio.gather(first, rest)
    assert sizes == [1, 4, 4, 1]
    batching.close(wait_seconds=2)


async def test_a_batch_that_fails_is_tried_again_item_by_item() -> None:
    def work(items: Sequence[int]) -> list[int]:
        if 3 in items:
            raise ValueError("three")
        return list(items)

    failing = lane(work, size=LaneSize(batch=8))
    outcomes = await failing.run_many(range(6))
    assert [item for item in outcomes if not isinstance(item, Exception)] == [0, 1, 2, 4, 5]
    assert isinstance(outcomes[3], ValueError)
    with pytest.raises(ValueError, match="three"):
        await failing.run(3)
    assert await failing.run(4) == 4
    failing.close(wait_seconds=2)


async def test_too_few_results_are_an_error_and_not_a_mix_up() -> None:
    forgetful = lane(lambda items: list(items)[1:], size=LaneSize(batch=8))
    outcomes = await forgetful.run_many(range(4))
    assert all(isinstance(outcome, RuntimeError) for outcome in outcomes)
    forgetful.close(wait_seconds=2)


async def test_a_worker_that_dies_reports_it_and_leaves_no_caller_waiting() -> None:
    gate, deaths = threading.Event(), Deaths()

    def work(items: Sequence[int]) -> list[int]:
        gate.wait(10)
        if 1 in items:
            raise SystemExit("the driver is gone")
        return list(items)

    dying = lane(work, deaths=deaths)
    tasks = [asyncio.create_task(dying.run(item)) for item in (0, 1, 2, 3)]
    await asyncio.sleep(0.05)
    gate.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert outcomes[0] == 0
    assert all(isinstance(outcome, LaneClosedError) for outcome in outcomes[1:])
    with pytest.raises(LaneClosedError):
        await dying.run(5)
    dying.close(wait_seconds=2)
    assert [(name, type(error)) for name, error in deaths] == [("test", SystemExit)]


async def test_a_closed_lane_fails_what_is_queued_and_takes_nothing_more() -> None:
    gate = threading.Event()

    def work(items: Sequence[int]) -> list[int]:
        gate.wait(10)
        return list(items)

    closing = lane(work)
    tasks = [asyncio.create_task(closing.run(item)) for item in (0, 1)]
    await asyncio.sleep(0.05)
    closing.close()
    gate.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert outcomes[0] == 0
    assert isinstance(outcomes[1], LaneClosedError)
    with pytest.raises(LaneClosedError):
        await closing.run(2)
    closing.close(wait_seconds=2)


async def test_what_was_withdrawn_is_never_worked_on() -> None:
    gate, seen = threading.Event(), list[int]()

    def work(items: Sequence[int]) -> list[int]:
        gate.wait(10)
        seen.extend(items)
        return list(items)

    working = lane(work, size=LaneSize(batch=4))
    first = asyncio.create_task(working.run(0))
    await asyncio.sleep(0.05)
    withdrawn = asyncio.create_task(working.run_many([1, 2, 3]))
    kept = asyncio.create_task(working.run(4))
    await asyncio.sleep(0.05)
    withdrawn.cancel()
    await asyncio.sleep(0.05)
    gate.set()
    assert (await first, await kept) == (0, 4)
    assert seen == [0, 4]
    working.close(wait_seconds=2)


async def test_two_callers_with_more_items_than_the_limit_both_finish() -> None:
    narrow = lane(size=LaneSize(batch=2, capacity=5))
    async with asyncio.timeout(10):
        results = await asyncio.gather(*(narrow.run_many(range(20)) for _ in range(6)))
    assert all(result == [2 * item for item in range(20)] for result in results)
    narrow.close(wait_seconds=2)


async def test_the_queue_is_never_longer_than_its_limit() -> None:
    gate = threading.Event()

    def work(items: Sequence[int]) -> list[int]:
        gate.wait(10)
        return list(items)

    narrow = lane(work, size=LaneSize(capacity=3))
    tasks = [asyncio.create_task(narrow.run(item)) for item in range(10)]
    await asyncio.sleep(0.1)
    assert narrow.waiting <= 3
    gate.set()
    assert await asyncio.gather(*tasks) == list(range(10))
    narrow.close(wait_seconds=2)


async def test_the_loop_is_free_while_a_lane_works() -> None:
    gate = threading.Event()

    def work(items: Sequence[int]) -> list[int]:
        gate.wait(10)
        return list(items)

    slow = lane(work)
    task = asyncio.create_task(slow.run(1))
    await asyncio.sleep(0.05)
    loop = asyncio.get_running_loop()
    began = loop.time()
    for _ in range(10):
        await asyncio.sleep(0.001)
    assert loop.time() - began < 2
    gate.set()
    await task
    slow.close(wait_seconds=2)


@pytest.mark.parametrize("fails", [False, True])
async def test_a_lane_without_work_holds_no_item(fails: bool) -> None:
    """An item may be a picture of hundreds of megabytes."""

    class Large:
        pass

    def work(items: Sequence[Large]) -> list[int]:
        if fails:
            raise ValueError
        return [1 for _ in items]

    resting: Lane[Large, int] = Lane("test", work, LaneSize(), on_crash=lambda _name, _error: None)
    item = Large()
    held = weakref.ref(item)
    (outcome,) = await resting.run_many([item])
    assert isinstance(outcome, Exception) == fails
    del item, outcome
    for _ in range(200):
        gc.collect()
        if held() is None:
            break
        await asyncio.sleep(0.01)
    assert held() is None
    resting.close(wait_seconds=2)

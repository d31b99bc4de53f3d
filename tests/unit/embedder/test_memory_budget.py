"""Memory budget: requests are refused before memory is allocated, by file size and by pixels."""

import asyncio
import threading
from collections.abc import Sequence

import pytest
from embedder_scene import ScriptedEngine, picture, running
from journey import until

from embedder.engine import View
from embedder.memory_budget import MemoryBudget
from embedder.pipeline import PipelineSize
from immich_facesets.errors import ItemError


async def test_a_file_is_admitted_within_a_quarter_of_the_budget_and_alone_at_any_size() -> None:
    budget = MemoryBudget(400)
    assert budget.has_for(4000)
    with budget.file(60), budget.room() as room:
        assert budget.has_for(40)
        assert not budget.has_for(41)
        await room.take(300)
        assert budget.has_for(40)
        assert not budget.has_for(41)
    assert budget.taken == 0


async def test_a_decoding_waits_until_others_have_gone_and_the_first_goes_first() -> None:
    budget = MemoryBudget(400)
    order: list[str] = []
    leave = asyncio.Event()

    async def one(name: str, size: int) -> None:
        with budget.room() as room:
            await room.take(size)
            order.append(f"{name} decodes")
            await leave.wait()
            order.append(f"{name} goes")

    tasks = []
    for name, size in (("large", 300), ("second", 200), ("small", 1)):
        tasks.append(asyncio.create_task(one(name, size)))
        await asyncio.sleep(0)
    assert order == ["large decodes"]
    leave.set()
    await asyncio.gather(*tasks)
    assert order == ["large decodes", "large goes", "second decodes", "second goes", "small decodes", "small goes"]
    assert budget.taken == 0


async def test_pixels_that_are_kept_leave_room_for_the_next() -> None:
    budget = MemoryBudget(400)
    with budget.room() as first, budget.room() as second:
        await first.take(300)
        waiting = asyncio.create_task(second.take(200))
        await asyncio.sleep(0)
        assert not waiting.done()
        first.keep(200)
        await asyncio.wait_for(waiting, 1)
        assert budget.taken == 400


async def test_a_picture_is_decoded_again_although_another_waits_for_it() -> None:
    budget = MemoryBudget(400)
    with budget.file(1000), budget.room() as first, budget.room() as second:
        await first.take(300)
        waiting = asyncio.create_task(second.take(300))
        await asyncio.sleep(0)
        first.keep(0)
        again = asyncio.create_task(first.take(200))
        await asyncio.wait_for(waiting, 1)
        second.keep(0)
        await asyncio.wait_for(again, 1)


async def test_a_decoding_that_never_fits_is_refused_with_the_settings_name() -> None:
    with MemoryBudget(400 << 20).room() as room:
        await room.take(300 << 20)
        with pytest.raises(ItemError, match=r"301 MiB.*300 MiB.*FACESETS_EMBEDDER_MAX_MEMORY") as caught:
            await room.take(301 << 20)
    assert caught.value.reason == "too_much_memory"


async def test_a_caller_that_stops_waiting_takes_no_space() -> None:
    budget = MemoryBudget(400)
    with budget.room() as first:
        await first.take(300)
        with budget.room() as second:
            waiting = asyncio.create_task(second.take(200))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
    with budget.room() as third:
        await asyncio.wait_for(third.take(300), 1)
        assert budget.taken == 300


async def test_a_picture_too_many_for_memory_is_answered_429_and_taken_later() -> None:
    go_on = threading.Event()

    def wait(_views: Sequence[View]) -> None:
        go_on.wait(10)

    data = picture()
    engine = ScriptedEngine(before_detect=wait)
    size = PipelineSize(max_in_flight=8, workers=2, memory_bytes=len(data) + 1000)  # room for one file only
    async with running(engine, size=size) as scene:
        first = asyncio.create_task(scene.ask(data))
        await until(lambda: engine.looks)
        refused = await scene.ask(data)
        assert refused.status_code == 429
        assert "Retry-After" in refused.headers
        assert "memory" in refused.text
        go_on.set()
        assert (await first).status_code == 200
        assert (await scene.ask(data)).status_code == 200

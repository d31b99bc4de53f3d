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


def test_a_file_is_admitted_within_the_budget_and_alone_at_any_size() -> None:
    room = MemoryBudget(100, decoders=1)
    assert room.has_for(1000)
    with room.file(60):
        assert room.has_for(40)
        assert not room.has_for(41)
        with room.pixels(40):
            assert not room.has_for(1)
    assert room.taken == 0


async def test_pixels_wait_until_others_have_gone_and_never_for_themselves() -> None:
    room = MemoryBudget(100, decoders=2)
    order: list[str] = []
    leave = asyncio.Event()

    async def one(name: str, size: int) -> None:
        async with room.turn_to_decode():
            order.append(f"{name} decodes")
            hold = room.pixels(size)
            hold.__enter__()
        await leave.wait()
        order.append(f"{name} goes")
        hold.__exit__(None, None, None)

    first = asyncio.create_task(one("large", 500))
    await asyncio.sleep(0)
    second = asyncio.create_task(one("small", 1))
    for _ in range(5):
        await asyncio.sleep(0)
    assert order == ["large decodes"]
    leave.set()
    await asyncio.gather(first, second)
    assert order[:3] == ["large decodes", "large goes", "small decodes"]
    assert room.taken == 0


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_a_caller_that_stops_waiting_takes_no_space(*, is_cancelled: bool) -> None:
    room = MemoryBudget(10, decoders=1)
    with room.pixels(10):
        waiting = asyncio.create_task(room.turn_to_decode().__aenter__())
        await asyncio.sleep(0)
        assert not waiting.done()
        if is_cancelled:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
    if is_cancelled:
        async with asyncio.timeout(1), room.turn_to_decode():
            pass
    else:
        await asyncio.wait_for(waiting, 1)


async def test_a_picture_too_many_for_memory_is_answered_429_and_taken_later() -> None:
    go_on = threading.Event()

    def wait(_views: Sequence[View]) -> None:
        go_on.wait(10)

    data = picture()
    engine = ScriptedEngine(before_detect=wait)
    size = PipelineSize(max_in_flight=8, workers=2, memory_bytes=len(data) + 1000)
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

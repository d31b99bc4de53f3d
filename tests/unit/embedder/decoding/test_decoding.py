"""Decoding processes: limits of time and memory that end a decoding, and crashes that stay in them."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest
from bad_pictures import black_png
from embedder_scene import picture
from hostile_pictures import jpeg_of_scans, slow_bmp
from journey import until

from embedder.decoding.decoding import HAS_PROCESSES, DecodingProcesses
from embedder.images.decoder import Decoder
from embedder.images.picture import Picture, whole
from embedder.lanes import WorkerLane
from embedder.memory_budget import MemoryBudget
from immich_facesets.errors import ItemError, TransientError

pytestmark = pytest.mark.skipif(not HAS_PROCESSES, reason="decoding processes need Linux")

MOST = 2 << 30


class Scene:
    def __init__(self, decoding: DecodingProcesses, budget: MemoryBudget, workers: WorkerLane) -> None:
        self.decoding, self.budget, self.workers = decoding, budget, workers

    async def decode(self, data: bytes) -> Picture:
        with self.budget.room() as room:
            return await self.decoding.decode(data, whole, room, self.workers)


@asynccontextmanager
async def decoding(*, seconds: float = 30, most: int = 1, memory: int = MOST) -> AsyncIterator[Scene]:
    workers = WorkerLane(1, 8, on_crash=lambda *_: None, on_batch=lambda *_: None)
    processes = DecodingProcesses(150_000_000, seconds, most)
    try:
        yield Scene(processes, MemoryBudget(memory), workers)
    finally:
        processes.close()
        workers.lane.close(wait_seconds=1)


async def test_a_process_gives_the_pixels_of_the_decoder_and_is_used_again() -> None:
    async with decoding() as scene:
        for shade in (10, 200):
            data = picture(shade=shade)
            found, right = await scene.decode(data), Decoder(10**6).decode(data)
            assert (found.pixels == right.pixels).all()
            assert (found.width, found.height, found.orientation) == (right.width, right.height, right.orientation)
            assert len(scene.decoding.pids) == 1


async def test_a_reduction_is_asked_for_with_the_upright_size() -> None:
    asked: list[tuple[int, int]] = []

    def allow(width: int, height: int) -> float:
        asked.append((width, height))
        return 2.5

    async with decoding() as scene:
        with scene.budget.room() as room:
            found = await scene.decoding.decode(jpeg_of_scans(96, 64, 10), allow, room, scene.workers)
            assert room.size_bytes == 6 * 48 * 32
    assert set(asked) == {(96, 64)}
    assert (found.reduction, found.width, found.pixels.shape) == (2, 96, (32, 48, 3))


async def test_the_reason_of_a_refusal_arrives() -> None:
    async with decoding() as scene:
        with pytest.raises(ItemError, match="text") as caught:
            await scene.decode(b"plain words\n")
        assert caught.value.reason == "not_a_picture"
        (pid,) = scene.decoding.pids
        assert (await scene.decode(picture())).width == 320
        assert scene.decoding.pids == (pid,), "a process takes half a second to start"


async def test_a_slow_picture_is_ended_by_the_clock_and_the_next_is_read() -> None:
    async with decoding(seconds=1) as scene:
        begun = time.monotonic()
        with pytest.raises(ItemError, match=r"1 seconds.*FACESETS_EMBEDDER_DECODE_SECONDS") as caught:
            await scene.decode(slow_bmp())
        assert time.monotonic() - begun < 4
        assert caught.value.reason == "too_slow"
        assert scene.decoding.pids == ()
        assert (await scene.decode(picture())).width == 320


async def test_a_decoding_ends_with_its_caller() -> None:
    async with decoding() as scene:
        task = asyncio.create_task(scene.decode(slow_bmp()))
        await until(lambda: scene.decoding.pids)
        (pid,) = scene.decoding.pids
        await asyncio.sleep(0.5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await until(lambda: not Path(f"/proc/{pid}").exists())
        assert scene.budget.taken == 0


async def test_the_start_of_a_process_takes_no_time_of_its_picture(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    late = tmp_path / "python"
    late.write_text(f'#!/bin/sh\nsleep 1.5\nexec {sys.executable} "$@"\n', encoding="utf-8")
    late.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(late))
    async with decoding(seconds=1) as scene:
        assert (await scene.decode(picture())).width == 320


_EMBEDDER = """
import asyncio, sys
sys.path.insert(0, "tests/support")
from hostile_pictures import slow_bmp
from embedder.decoding.decoding import DecodingProcesses
from embedder.images.picture import whole
from embedder.memory_budget import MemoryBudget

async def main():
    decoding = DecodingProcesses(10**9, 600, 1)
    task = asyncio.create_task(decoding.decode(slow_bmp(100_000_000), whole, MemoryBudget(10**10).room().__enter__(), None))
    while not decoding.pids:
        await asyncio.sleep(0.01)
    await asyncio.sleep(1.5)
    print(*decoding.pids, flush=True)
    await task

asyncio.run(main())
"""


async def test_a_decoding_ends_with_its_embedder_even_if_that_is_killed() -> None:
    embedder = await asyncio.create_subprocess_exec(sys.executable, "-c", _EMBEDDER, stdout=asyncio.subprocess.PIPE)
    assert embedder.stdout is not None
    decoding = psutil.Process(int(await embedder.stdout.readline()))
    assert decoding.is_running()
    embedder.kill()
    await embedder.wait()

    def has_ended() -> bool:
        return not decoding.is_running() or decoding.status() == psutil.STATUS_ZOMBIE

    await until(has_ended, 10)


async def test_a_slow_picture_leaves_the_event_loop_free() -> None:
    async with decoding(seconds=2) as scene:
        task = asyncio.create_task(scene.decode(slow_bmp()))
        ticks = 0
        while not task.done():
            await asyncio.sleep(0.01)
            ticks += 1
        with pytest.raises(ItemError):
            await task
        assert ticks >= 20, "two seconds have 200; a blocked loop has two"


async def test_a_picture_that_ends_two_processes_fails_and_the_next_is_read() -> None:
    async with decoding() as scene:
        killed: set[int] = set()

        async def kill_all() -> None:
            while len(killed) < 2:
                for pid in set(scene.decoding.pids) - killed:
                    await asyncio.sleep(0.6)
                    os.kill(pid, signal.SIGSEGV)
                    killed.add(pid)
                await asyncio.sleep(0.01)

        killing = asyncio.create_task(kill_all())
        with pytest.raises(ItemError, match="ended 2 times") as caught:
            await scene.decode(slow_bmp())
        await killing
        assert caught.value.reason == "crashes_decoder"
        assert (await scene.decode(picture())).width == 320


async def test_processes_that_end_with_any_picture_are_the_embedders_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    async with decoding() as scene:
        with pytest.raises(TransientError, match="decoding processes do not work"):
            await scene.decode(picture())


async def test_a_picture_whose_header_asks_for_too_much_memory_is_refused() -> None:
    """It is refused by its size, before it is decoded."""
    async with decoding(memory=1 << 20) as scene:
        with pytest.raises(ItemError, match="FACESETS_EMBEDDER_MAX_MEMORY") as caught:
            await scene.decode(picture(width=2000, height=2000))
        assert caught.value.reason == "too_much_memory"


async def test_a_decoder_that_takes_more_than_was_counted_is_stopped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No known picture takes more, so the process counts next to nothing here."""
    child = tmp_path / "python"
    code = (
        "import embedder.decoding.server as server, embedder.images.decoder as decoder;"
        "decoder.decoding_bytes = lambda *_: 1; server.OPENING_BYTES = 64 << 20;"
        "from embedder.decoding.__main__ import main; main()"
    )
    child.write_text(f"#!/bin/sh\nexec '{sys.executable}' -c '{code}' \"$3\"\n", encoding="ascii")
    child.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(child))
    async with decoding() as scene:
        with pytest.raises(ItemError, match="more memory than there is") as caught:
            await scene.decode(black_png(8000, 8000))
        assert caught.value.reason == "too_much_memory"
        assert (await scene.decode(black_png(100, 50))).width == 100


async def test_a_caller_that_leaves_while_its_picture_is_handed_over_leaves_no_file_open() -> None:
    def files() -> int:
        count = 0
        for place in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile, such as that of this listing
                count += "memfd:picture" in str(place.readlink())
        return count

    async with decoding() as scene:
        await scene.decode(picture())
        for _ in range(5):
            leaving = asyncio.create_task(scene.decode(bytes(64 << 20)))
            await until(lambda: files() > 0, pause=0.001)
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
        await until(lambda: files() == 0)
        assert (await scene.decode(picture())).width == 320


async def test_a_decoding_process_gets_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IMMICH_API_KEY", "FACESETS_TOKEN", "FACESETS_EMBEDDER_TOKEN"):
        monkeypatch.setenv(name, "geheim-123")
    async with decoding() as scene:
        await scene.decode(picture())
        (pid,) = scene.decoding.pids
        assert b"geheim-123" not in await asyncio.to_thread(Path(f"/proc/{pid}/environ").read_bytes)
        assert "NoNewPrivs:\t1" in await asyncio.to_thread(Path(f"/proc/{pid}/status").read_text)


def may_leave_the_network() -> bool:
    code = "import ctypes; print(ctypes.CDLL(None).unshare(0x50000000))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip() == "0"


async def test_a_decoding_process_has_no_network() -> None:
    if not await asyncio.to_thread(may_leave_the_network):
        pytest.skip("this kernel forbids processes a network of their own")
    async with decoding() as scene:
        await scene.decode(picture())
        (pid,) = scene.decoding.pids
        networks = [await asyncio.to_thread(os.readlink, f"/proc/{one}/ns/net") for one in (pid, os.getpid())]
        assert networks[0] != networks[1]
        devices = await asyncio.to_thread(Path(f"/proc/{pid}/net/dev").read_text, encoding="ascii")
        assert re.findall(r"^ *([^ :|]+):", devices, re.MULTILINE) == ["lo"]


async def test_pixels_of_several_pictures_do_not_mix() -> None:
    async with decoding(most=2) as scene:
        found = await asyncio.gather(*(scene.decode(picture(shade=shade)) for shade in range(0, 250, 25)))
        assert [int(np.median(one.pixels)) for one in found] == list(range(0, 250, 25))
        assert len(scene.decoding.pids) <= 2

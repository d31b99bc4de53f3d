"""Pictures of few bytes and many pixels, in a real embedder: its memory stays within its setting, and others are read."""

import asyncio
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest
from embedder_scene import picture
from hostile_pictures import BOMBS, bomb
from journey import until
from testdata import shared_data

from embedder.decoding.decoding import HAS_PROCESSES
from immich_facesets.runtime.listen_address import Announcement

pytestmark = pytest.mark.skipif(not HAS_PROCESSES, reason="decoding processes need Linux")

MOST = 1 << 30
"""FACESETS_EMBEDDER_MAX_MEMORY."""

BESIDE = 96 << 20
"""Bytes that work on pictures takes beside them: in the models, for answers, and for starting processes."""

SIDE, LARGE_SIDE = 5_000, 12_240
"""Pixels of a side. Decoding the second takes three quarters of the memory as a PNG, and more than that as a WebP."""


def memory_of(process: psutil.Process) -> int:
    """The bytes of a process and its children, each shared page counted once."""
    found = 0
    for one in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            text = Path(f"/proc/{one.pid}/smaps_rollup").read_text(encoding="ascii")
            found += 1024 * int(text.partition("\nPss:")[2].split()[0])
    return found


class Watched:
    """A running embedder, the most memory that was seen, and how long each answer of ``/healthz`` took."""

    def __init__(self, url: str, process: psutil.Process) -> None:
        self.url = url
        self.process = process
        self.most_bytes = 0
        self.health_seconds: list[float] = []

    async def watch_memory(self) -> None:
        while True:
            self.most_bytes = max(self.most_bytes, await asyncio.to_thread(memory_of, self.process))
            await asyncio.sleep(0.02)

    async def watch_health(self) -> None:
        async with httpx.AsyncClient(base_url=self.url, timeout=60) as client:
            while True:
                begun = time.monotonic()
                (await client.get("/healthz")).raise_for_status()
                self.health_seconds.append(time.monotonic() - begun)
                await asyncio.sleep(0.1)

    async def ask(self, client: httpx.AsyncClient, data: bytes) -> httpx.Response:
        """Ask about a picture until there is a place for it."""
        while True:
            response = await client.post("/v1/faces", content=data)
            if response.status_code != httpx.codes.TOO_MANY_REQUESTS:
                return response
            await asyncio.sleep(0.1)


@asynccontextmanager
async def embedder(models: Path, folder: Path) -> AsyncIterator[Watched]:
    environment = {
        **os.environ,
        "FACESETS_EMBEDDER_LISTEN": "127.0.0.1:0",
        "FACESETS_MODELS_DIR": str(models),
        "FACESETS_MODEL_PACK": "bench_s",
        "FACESETS_EMBEDDER_MAX_MEMORY": str(MOST),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "embedder", env=environment, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=2
    )
    assert server.stdout is not None
    try:
        url = Announcement.read(await server.stdout.readline()).url
        yield Watched(url, psutil.Process(server.pid))
    finally:
        server.terminate()
        await server.wait()


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_bombs_stay_within_the_memory_give_it_back_and_stop_nobody(tmp_path: Path) -> None:
    fitting = [await asyncio.to_thread(bomb, kind, SIDE) for kind in BOMBS]
    fitting.append(await asyncio.to_thread(bomb, "PNG of 16 bits", LARGE_SIDE))
    large = [await asyncio.to_thread(bomb, kind, LARGE_SIDE) for kind in ("WebP", "GIF")]
    innocent = [picture(shade=shade) for shade in range(0, 250, 10)]
    async with (
        embedder(shared_data() / "data" / "models", tmp_path) as seen,
        httpx.AsyncClient(base_url=seen.url, timeout=280) as client,
    ):
        for data in innocent[:4]:
            (await seen.ask(client, data)).raise_for_status()
        await asyncio.sleep(4)  # the decoding processes give back what they may
        before = memory_of(seen.process)
        watching = [asyncio.create_task(seen.watch_memory()), asyncio.create_task(seen.watch_health())]
        hostile = [*fitting, *large] * 2
        answers = await asyncio.gather(*(seen.ask(client, data) for data in [*hostile, *innocent]))
        assert not any(task.done() for task in watching)
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        statuses = [answer.status_code for answer in answers]
        assert statuses[len(hostile) :] == [200] * len(innocent)
        assert statuses[: len(hostile)] == ([200] * len(fitting) + [422] * len(large)) * 2
        assert {answer.json()["reason"] for answer in answers[: len(hostile)] if answer.is_error} == {"too_much_memory"}
        assert before < seen.most_bytes < before + MOST + BESIDE
        assert statistics.median(seen.health_seconds) < 0.5
        await until(lambda: memory_of(seen.process) < before + BESIDE)

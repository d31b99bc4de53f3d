"""More idle connections than a process has descriptors, against the pages and against an embedder."""

import asyncio
import contextlib
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from raw_http import HANG_SECONDS, calling, status_of
from testdata import ROOT

from immich_facesets.runtime.connections import descriptor_limit
from immich_facesets.runtime.listen_address import Announcement, Listen

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="descriptors are limited by ulimit")

SERVERS = {
    "pages": "tests/support/served_pages.py",
    "embedder": "-m embedder",
    "pages that need their descriptors elsewhere": "tests/support/served_pages.py 12",
}
FEW_DESCRIPTORS = 128
MOST_LOG_BYTES = 20_000
"""A start and a few lines; without limits it is megabytes a second."""


@contextlib.asynccontextmanager
async def server_with(descriptors: int, server: str, errors: Path) -> AsyncIterator[Listen]:
    """A process that may have so many files and sockets open."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("FACESETS_", "IMMICH_"))},
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests/support")]),
        "FACESETS_EMBEDDER_ENGINE": "synthetic",
        "FACESETS_EMBEDDER_LISTEN": "127.0.0.1:0",
    }
    script = f'ulimit -n {descriptors}; exec "$0" {SERVERS[server]}'
    with errors.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            "sh", "-c", script, sys.executable, cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE, stderr=log
        )
        try:
            assert process.stdout is not None
            async with asyncio.timeout(60):
                told = Announcement.read(await process.stdout.readline())
            yield Listen(told.host, told.port)
        finally:
            process.terminate()
            async with asyncio.timeout(HANG_SECONDS):
                await process.wait()


async def health_seconds(listen: Listen) -> float:
    started = time.monotonic()
    async with asyncio.timeout(HANG_SECONDS):
        assert await status_of(listen) == 200
    return time.monotonic() - started


async def check_idle_connections(server: str, errors: Path, *, descriptors: int, callers: int) -> None:
    async with server_with(descriptors, server, errors) as listen, contextlib.AsyncExitStack() as stack:
        await status_of(listen)
        idle = [await stack.enter_async_context(calling(listen)) for _ in range(callers)]
        seconds = [await health_seconds(listen) for _ in range(9)]
        await asyncio.sleep(1.5)  # as long as the event loop's own server takes to begin its storm of retries
        seconds += [await health_seconds(listen) for _ in range(9)]
        assert statistics.median(seconds) < 0.5
        assert sum(not caller.is_closed for caller in idle) < descriptors


@pytest.mark.parametrize("server", SERVERS)
async def test_health_answers_beside_300_idle_connections_and_few_descriptors(server: str, tmp_path: Path) -> None:
    errors = tmp_path / "stderr"
    await check_idle_connections(server, errors, descriptors=FEW_DESCRIPTORS, callers=300)
    log = errors.read_text()
    assert log.count("few_descriptors") == 1
    assert log.count("no_connection" if server.endswith("elsewhere") else "connections_full") == 1
    assert len(log) < MOST_LOG_BYTES


@pytest.mark.slow
@pytest.mark.skipif((descriptor_limit() or 2000) < 1300, reason="this process has too few descriptors for the callers")
@pytest.mark.parametrize("server", ["pages", "embedder"])
async def test_health_answers_beside_1100_idle_connections_at_the_usual_limit(server: str, tmp_path: Path) -> None:
    errors = tmp_path / "stderr"
    await check_idle_connections(server, errors, descriptors=1024, callers=1100)
    assert len(errors.read_text()) < MOST_LOG_BYTES

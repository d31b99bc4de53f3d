"""A real embedder, and what a test watches of it while hostile pictures arrive: its memory and its ``/healthz``."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import psutil

from immich_facesets.runtime.listen_address import Announcement


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
async def watched_embedder(folder: Path, **settings: str) -> AsyncIterator[Watched]:
    """Yield an embedder that runs in ``folder`` with these settings."""
    environment = {
        **os.environ,
        **settings,
        "FACESETS_EMBEDDER_LISTEN": "127.0.0.1:0",
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

"""A service process as a test runs it: started, stopped, killed, and inspected from outside."""

import asyncio
import json
import shutil
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
from fork_server import ForkedProcess, ForkServer
from real_library import write_users
from service_process import environment
from small_library import ENVIRONMENT, Placed, SmallLibrary, place
from sync_result import SyncResult, fetched_already, read, read_result

from immich_facesets.runtime.listen_address import Announcement
from service.demo.immich import FakeImmich

NOTHING: Mapping[str, str] = MappingProxyType({})
PATIENCE = 120.0
"""Timeout of any step on a busy machine, in seconds."""


@dataclass(frozen=True, slots=True)
class Journey:
    """A fake Immich with a library, and the settings of a service beside it."""

    forks: ForkServer
    immich: FakeImmich
    placed: Placed
    environ: Mapping[str, str]
    data: Path

    def start(
        self, *arguments: str, settings: Mapping[str, str] = NOTHING, die_at: tuple[Any, ...] = ()
    ) -> ForkedProcess:
        return self.forks.start("service", *arguments, environ={**self.environ, **settings}, die_at=die_at)

    async def sync(
        self, *arguments: str, settings: Mapping[str, str] = NOTHING, die_at: tuple[Any, ...] = ()
    ) -> ForkedProcess:
        """Run one sync and return how it ended."""
        service = self.start("sync", *arguments, settings=settings, die_at=die_at)
        await ended(service)
        return service

    async def finish(self, *arguments: str) -> SyncResult:
        """Run a sync that must succeed, and return the resulting data."""
        service = await self.sync(*arguments)
        assert service.code == 0, service.stderr[-3000:]
        return self.result()

    async def goes_on(self, unkilled: SyncResult, settings: Mapping[str, str] = NOTHING) -> None:
        """Check that a sync has the result of an undisturbed one, and fetches nothing that is stored already."""
        done, asked = self.done(), len(self.fetched())
        again = await self.sync(settings=settings)
        assert again.code == 0, again.stderr[-3000:]
        assert done.isdisjoint(self.fetched()[asked:])
        assert self.result().differences(unkilled) == []

    def result(self) -> SyncResult:
        return read_result(self.data)

    def begin_from(self, folder: Path) -> None:
        """Start from a copy of another service's data."""
        shutil.copytree(folder, self.data)

    def fetched(self) -> list[str]:
        """The assets whose originals were asked for, in order."""
        return self.immich.requests.assets("original")

    def done(self, data: Path | None = None) -> set[str]:
        """
        The assets whose pictures are done or staged: they need never be fetched again.

        ``data``: the path of the data folder in this process.
        """
        data = data or self.data
        if not (data / "facesets.db").is_file():
            return set()
        staged = {path.name.partition(".")[0] for path in (data / "staging").glob("*.*")}
        found: set[str] = read(data, lambda tx: fetched_already(tx, staged))
        return found


@dataclass(frozen=True, slots=True)
class Unkilled:
    """The results of undisturbed syncs, and data folders to start from."""

    first: SyncResult
    second: SyncResult
    embedded: Path
    synced: Path


@asynccontextmanager
async def begun(forks: ForkServer, drawn: SmallLibrary, embedder_url: str, folder: Path) -> AsyncIterator[Journey]:
    """A fake Immich with the small library, and a service beside it that is not started yet."""
    async with FakeImmich("3.1.0") as immich:
        placed = place(immich, drawn)
        users = write_users(immich, folder)
        environ = environment(immich.url, users, folder, FACESETS_EMBEDDER_URLS=embedder_url, **ENVIRONMENT)
        yield Journey(forks, immich, placed, environ, folder / "data")


@asynccontextmanager
async def serving(
    journey: Journey, settings: Mapping[str, str] = NOTHING, die_at: tuple[Any, ...] = ()
) -> AsyncIterator[tuple[ForkedProcess, httpx.AsyncClient]]:
    """The service and a client with its token; ``die_at``: where the service is killed."""
    token = "a token for the tests alone"
    own = {"FACESETS_LISTEN": "127.0.0.1:0", "FACESETS_TOKEN": token, "FACESETS_SYNC_INTERVAL": "3600"}
    service = journey.start("serve", settings={**own, **settings}, die_at=die_at)

    def address() -> str:
        told = [json.loads(line) for line in service.stderr.splitlines() if '"serving"' in line]
        assert service.is_running, service.stderr[-3000:]
        return str(told[0]["address"]) if told else ""

    url = await until(address)
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=PATIENCE, trust_env=False) as client:
        try:
            yield service, client
        finally:
            service.signal(signal.SIGKILL)
            await ended(service)


async def ended(process: ForkedProcess, seconds: float = PATIENCE) -> int:
    return await asyncio.to_thread(process.wait, seconds)


async def until(condition: Any, seconds: float = PATIENCE, *, pause: float = 0.01) -> Any:
    """Return the result of ``condition()`` (awaited where necessary) as soon as it is true."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError("what was waited for did not come")
        await asyncio.sleep(pause)


def announced_embedder(
    forks: ForkServer, place: Path, *, port: int = 0, settings: Mapping[str, str] = NOTHING
) -> tuple[ForkedProcess, str]:
    """A synthetic embedder and its address. Blocks until it listens."""
    environ = {"FACESETS_EMBEDDER_ENGINE": "synthetic", "FACESETS_EMBEDDER_LISTEN": f"127.0.0.1:{port}"}
    place.unlink(missing_ok=True)
    process = forks.start("embedder", "--announce", str(place), environ={**environ, **settings})
    deadline = time.monotonic() + PATIENCE
    while not place.is_file():
        if not process.is_running or time.monotonic() > deadline:
            raise RuntimeError(f"the embedder did not start: {process.stderr[-1000:]}")
        time.sleep(0.02)
    return process, Announcement.read(place.read_bytes()).url

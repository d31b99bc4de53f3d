"""Fixtures of the journeys with drawn people: the library, a fork server and one embedder."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fork_server import KILLED, ForkServer
from journey import Journey, Unkilled, begun
from journey_fixtures import drawn, embedder_url, forks
from small_library import SmallLibrary, change

__all__ = ["drawn", "embedder_url", "forks"]


@pytest.fixture
async def journey(forks: ForkServer, drawn: SmallLibrary, embedder_url: str, tmp_path: Path) -> AsyncIterator[Journey]:
    async with begun(forks, drawn, embedder_url, tmp_path) as found:
        yield found


@pytest.fixture(scope="session")
def unkilled(
    forks: ForkServer, drawn: SmallLibrary, embedder_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Unkilled:
    async def run() -> Unkilled:
        folder = tmp_path_factory.mktemp("unkilled")
        (folder / "whole").mkdir()
        async with begun(forks, drawn, embedder_url, folder / "whole") as journey:
            first = await journey.finish()
            synced = shutil.copytree(journey.data, folder / "synced")
            change(journey.placed)
            second = await journey.finish("--full")
        (folder / "part").mkdir()
        async with begun(forks, drawn, embedder_url, folder / "part") as journey:
            assert (await journey.sync(die_at=("drop_orphans", "before", 1))).code == KILLED
            return Unkilled(first, second, journey.data, synced)

    with ThreadPoolExecutor(1) as pool:  # a thread, because the event loop of the test starts later
        return pool.submit(asyncio.run, run()).result()

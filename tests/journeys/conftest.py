"""What the journeys with drawn people share: the library, a server that forks processes, and one embedder."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from forked import ForkServer
from journey import Journey, announced_embedder, begun
from small_library import SmallLibrary, draw_small_library


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> SmallLibrary:
    return draw_small_library(tmp_path_factory.mktemp("drawn"))


@pytest.fixture(scope="session")
def forks() -> Iterator[ForkServer]:
    with ForkServer() as server:
        yield server


@pytest.fixture(scope="session")
def embedder_url(forks: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An embedder that lives as long as the tests."""
    return announced_embedder(forks, tmp_path_factory.mktemp("embedder") / "address.json")[1]


@pytest.fixture
async def journey(forks: ForkServer, drawn: SmallLibrary, embedder_url: str, tmp_path: Path) -> AsyncIterator[Journey]:
    async with begun(forks, drawn, embedder_url, tmp_path) as found:
        yield found

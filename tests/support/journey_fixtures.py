"""Fixtures of tests with a whole service, imported by the conftest of each folder that has such tests."""

from collections.abc import Iterator

import pytest
from fork_server import ForkServer
from journey import announced_embedder
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
    """An embedder that runs until the tests end."""
    return announced_embedder(forks, tmp_path_factory.mktemp("embedder") / "address.json")[1]

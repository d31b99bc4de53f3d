"""One embedder with the real models of the test data, shared by all read-only tests."""

from collections.abc import Iterator

import pytest
from real_embedder import RealEmbedder, real_embedder
from testdata import shared_data


@pytest.fixture(scope="session")
def embedder_of_bench_s() -> Iterator[RealEmbedder]:
    with real_embedder(shared_data() / "data" / "models", "bench_s") as running:
        yield running

"""Stores for the tests of the service, each on every database there is, and what it takes to run it whole."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from databases import postgres_cluster, postgres_programs
from journey_fixtures import drawn, embedder_url, forks
from looked_at_library import looked_at
from sqlalchemy import create_engine, text

from service.store.database import Store, migrate, open_engine

__all__ = ["drawn", "embedder_url", "forks", "looked_at"]


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    programs = postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: the store is tested on SQLite alone")
    with tempfile.TemporaryDirectory(prefix="pytest-pg-") as folder, postgres_cluster(Path(folder), programs) as found:
        yield found.address


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'facesets.db'}"
    template: str = request.getfixturevalue("postgres")
    name = f"t{abs(hash(request.node.nodeid)):x}"
    admin = create_engine(template.format(name="postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name}"))
        connection.execute(text(f"CREATE DATABASE {name}"))
    admin.dispose()
    return template.format(name=name)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    engine = open_engine(database_url)
    migrate(engine)
    opened = Store(engine)
    yield opened
    opened.close()

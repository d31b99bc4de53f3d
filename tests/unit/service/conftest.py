"""Stores for the tests of the service on every database, and fixtures of a whole service."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from databases import postgres_cluster, postgres_programs
from journey_fixtures import drawn, embedder_url, forks
from sqlalchemy import create_engine, make_url, text
from synced_library import synced_library

from service.store.database import Store, migrate, open_engine
from service.store.user_database import UserDatabase

__all__ = ["drawn", "embedder_url", "forks", "synced_library"]


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    programs = postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: the store is tested on SQLite alone")
    with tempfile.TemporaryDirectory(prefix="pytest-pg-") as folder, postgres_cluster(Path(folder), programs) as found:
        yield found.address


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty, migrated SQLite file, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "facesets.db"
    migrated(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres: str) -> str:
    """The name of an empty, migrated PostgreSQL database, to be copied."""
    command(postgres, "CREATE DATABASE migrated")
    migrated(postgres.format(name="migrated"))
    return "migrated"


def migrated(url: str) -> None:
    engine = open_engine(url)
    migrate(engine)
    Store(engine).close()


def command(template: str, *statements: str) -> None:
    """Run statements in the administrative database, outside any transaction."""
    admin = create_engine(template.format(name="postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    admin.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'facesets.db'}"
    template: str = request.getfixturevalue("postgres")
    name = f"t{abs(hash(request.node.nodeid)):x}"
    command(template, f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}")
    return template.format(name=name)


@pytest.fixture
def store(database_url: str, request: pytest.FixtureRequest) -> Iterator[Store]:
    """A migrated store: a copy of one that was migrated once a session."""
    address = make_url(database_url)
    if address.drivername.startswith("sqlite"):
        shutil.copyfile(request.getfixturevalue("migrated_sqlite"), address.database or "")
    else:
        original = request.getfixturevalue("migrated_postgres")
        command(
            request.getfixturevalue("postgres"),
            f"DROP DATABASE {address.database}",
            f"CREATE DATABASE {address.database} TEMPLATE {original}",
        )
    opened = Store(open_engine(database_url))
    yield opened
    opened.close()


@pytest.fixture
def user_database(store: Store) -> Iterator[UserDatabase]:
    """The reads of single users on the same database."""
    opened = UserDatabase(open_engine(store.engine.url.render_as_string(hide_password=False)))
    yield opened
    opened.close()

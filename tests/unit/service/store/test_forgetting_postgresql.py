"""The traces of a forgotten person in the files of a PostgreSQL server: a byte search, as the documents promise."""

import asyncio
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from databases import Cluster, postgres_cluster, postgres_programs
from moderated_library import Moderated
from sqlalchemy import Connection, create_engine, select, text
from testdata import ROOT

from immich_facesets.moderation.requests import ForgetPerson, NameIdentity
from service.store import sources
from service.store import tables as t
from service.store.database import Store, migrate, open_engine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

NAME = "Theodora Quibblewick"


@pytest.fixture
def server() -> Iterator[tuple[Path, Cluster]]:
    """A server of its own, with its folder: other tests would write into the files of a shared one."""
    programs = postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed")
    with tempfile.TemporaryDirectory(prefix="pytest-pg-") as folder, postgres_cluster(Path(folder), programs) as found:
        yield Path(folder), found


def run(address: str, *statements: str) -> None:
    engine = create_engine(address, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def found_in(folder: Path, sought: Mapping[bytes, str]) -> set[tuple[str, str]]:
    """The bytes that are found, each with the folder of the server that has it: ``base``, ``pg_wal``."""
    found = set()
    for path in folder.rglob("*"):
        if path.is_file():
            body = path.read_bytes()
            found |= {(what, path.relative_to(folder).parts[0]) for one, what in sought.items() if one in body}
    return found


def filled(store: Store) -> tuple[Moderated, int]:
    """Three people with names of Immich, and the number of the one with a name that nobody else has."""
    library = Moderated(store)
    store.write_now(sources.remember_source, "anna", "immich", "user-1")
    library.name_people(ada=NAME, bob="Bob", carl="Carl", dora="Dora")  # so many that they are samples for the planner
    for person, count in ((1, 6), (2, 5), (3, 4)):
        library.add(person, count=count, given="ada" if person == 2 else None)
    library.group()
    number = library.number("p6")
    assert number is not None
    library.decide(NameIdentity(identity=number, label=f"{NAME} junior"))
    return library, number


def vectors_of(tx: Connection, number: int) -> list[bytes]:
    mine = select(t.memberships.c.face_id).where(t.memberships.c.identity == number)
    return list(tx.scalars(select(t.vectors.c.vector).where(t.vectors.c.face_id.in_(mine))))


def advice() -> list[str]:
    """The statements that the documents give for the write-ahead log."""
    lines = (ROOT / "docs/decisions.md").read_text().splitlines()
    start = next(place for place, line in enumerate(lines) if "ALTER SYSTEM SET wal_recycle" in line)
    given = (one.strip() for line in lines[start : start + 3] for one in line.split(";"))
    return [one for one in given if one]


def test_the_files_of_a_server_have_her_in_the_write_ahead_log_alone_and_then_nowhere(
    server: tuple[Path, Cluster],
) -> None:
    folder, cluster = server
    run(cluster.address.format(name="postgres"), "CREATE DATABASE library")
    address = cluster.address.format(name="library")
    engine = open_engine(address)
    migrate(engine)
    store = Store(engine)
    library, number = filled(store)
    sought = {NAME.encode(): "name"} | {one[64:192]: "vector" for one in store.read_now(vectors_of, number)}
    run(address, "ANALYZE", "CHECKPOINT")
    everywhere = {("name", "base"), ("vector", "base"), ("name", "pg_wal"), ("vector", "pg_wal")}
    assert found_in(folder / "data", sought) == everywhere
    library.decide(ForgetPerson(identity=number, confirm=number))
    asyncio.run(store.compact())
    run(address, "CHECKPOINT")
    assert found_in(folder / "data", sought) == {("name", "pg_wal"), ("vector", "pg_wal")}
    run(address, *advice()[:3], "SELECT pg_sleep(0.5)", *advice()[3:])
    assert found_in(folder, sought) == set(), "nor in the log that the server prints"
    store.close()

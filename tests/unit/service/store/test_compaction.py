"""The files of a database after it was rewritten: nothing of what was deleted, and all that was not."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete, insert, select

from immich_facesets.errors import TransientError
from service.store.compaction import compact
from service.store.database import Store, open_engine
from service.store.tables import facts

SECRET = "a text of which nothing may be left"


def write(tx: Connection) -> None:
    values = [(f"kept-{number}", "k" * 900) for number in range(30)] + [("secret", SECRET * 50)]
    tx.execute(insert(facts), [{"name": name, "value": value} for name, value in values])


def remove(tx: Connection) -> None:
    tx.execute(delete(facts).where(facts.c.name == "secret"))


def names(tx: Connection) -> int:
    return len(tx.execute(select(facts.c.name).where(facts.c.name.startswith("kept-"))).all())


def is_in_files(folder: Path) -> bool:
    return any(SECRET.encode() in path.read_bytes() for path in folder.iterdir() if path.is_file())


async def test_what_was_not_deleted_stays(store: Store) -> None:
    store.write_now(write)
    store.write_now(remove)
    await store.compact()
    assert store.read_now(names) == 30
    store.write_now(write_another)
    assert store.read_now(names) == 31


def write_another(tx: Connection) -> None:
    tx.execute(insert(facts).values(name="kept-more", value=1))


@pytest.fixture
def alone(tmp_path: Path, migrated_sqlite: Path) -> Iterator[tuple[Store, Path]]:
    """A store on SQLite, and the folder that has nothing but its files."""
    folder = tmp_path / "alone"
    folder.mkdir()
    (folder / "facesets.db").write_bytes(migrated_sqlite.read_bytes())
    found = Store(open_engine(f"sqlite:///{folder / 'facesets.db'}"))
    yield found, folder
    found.close()


def test_nothing_of_what_was_deleted_is_left_in_the_file_or_its_log(alone: tuple[Store, Path]) -> None:
    store, folder = alone
    store.write_now(write)
    store.write_now(remove)
    assert is_in_files(folder), "an ordinary deletion leaves it"
    compact(store.engine)
    assert not is_in_files(folder)
    assert (folder / "facesets.db-wal").stat().st_size == 0


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Another program that reads the database as it is now."""
    other = open_engine(f"sqlite:///{folder / 'facesets.db'}", only_reads=True)
    with other.connect().execution_options(facesets_read_only=True) as connection, connection.begin():
        connection.execute(select(facts.c.name)).all()
        yield
    other.dispose()


def test_another_reader_is_reported_and_afterwards_it_is_done(alone: tuple[Store, Path]) -> None:
    store, folder = alone
    store.write_now(write)
    with reading(folder):
        store.write_now(remove)
        with pytest.raises(TransientError, match="another program reads the database"):
            compact(store.engine, busy_seconds=0.05)
        assert is_in_files(folder)
    compact(store.engine)
    assert not is_in_files(folder)

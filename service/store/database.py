"""Database access: opening, the lock against a second service, migrations, transactions off the event loop."""

import contextlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import Any, Concatenate, Literal, ParamSpec, Self, TypeVar
from urllib.parse import quote

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from filelock import FileLock, Timeout
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from immich_facesets.errors import SetupError
from immich_facesets.runtime.file_modes import PRIVATE_FILE, close_to_others, private_opener
from service.store import change_tracking
from service.store.compaction import compact
from service.store.database_errors import database_error
from service.store.database_lock import DatabaseLock
from service.store.reading import READERS, options_of_reads, run_in

Age = Literal["empty", "older", "current"]


P = ParamSpec("P")
T = TypeVar("T")

_MIGRATIONS = Path(__file__).parent / "migrations"
_CONNECT_SECONDS = 10


class InUseError(SetupError):
    """Another immich-facesets works in the data folder, such as the service."""


class DataLock:
    """An exclusive lock on a data folder; a second service gets an ``InUseError``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = FileLock(folder / "lock", mode=PRIVATE_FILE)

    def __enter__(self) -> Self:
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise InUseError(
                f"another immich-facesets is working in the data folder {self._folder}: stop it first, or give this one "
                "a folder of its own with FACESETS_DATA_DIR"
            ) from error
        except OSError as error:
            raise SetupError(
                f"the data folder {self._folder} cannot be locked ({error.strerror}): make it writable for this user"
            ) from error
        return self

    def __exit__(self, *exc: object) -> None:
        self._lock.release()


def _prepare_sqlite(engine: Engine) -> None:
    """
    Configure SQLite: WAL, enforced foreign keys, durable commits, and explicit BEGIN.

    Writers begin with BEGIN IMMEDIATE, which avoids deadlocks from upgrading a read lock. The files of a database are
    accessible by their owner only.
    """

    @event.listens_for(engine, "do_connect")
    def before_connect(*_: Any) -> None:
        database = engine.url.database or ":memory:"
        if not database.startswith((":memory:", "file:")):
            _keep_private(database)

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        journal = () if _is_read_only(engine.url) else ("journal_mode=WAL",)
        for pragma in (*journal, "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        if connection.get_execution_options().get("facesets_autocommit", False):
            return
        read_only = connection.get_execution_options().get("facesets_read_only", False)
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _is_read_only(url: URL) -> bool:
    return url.query.get("mode") == "ro"


def _readable(url: URL) -> URL:
    """
    Return the address of a SQLite database for a reader that must not write, where its folder is read-only.

    A database in WAL mode has two files beside it while it is open anywhere. Where these are not there, nobody writes, and
    SQLite reads the file alone (``immutable``). Otherwise it would make them.
    """
    path = Path(url.database or "")
    if not path.is_file() or (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        return url
    is_open = Path(f"{path}-wal").is_file()
    options = {"uri": "true", "mode": "ro"} | ({} if is_open else {"immutable": "1"})
    return url.set(database=f"file:{quote(str(path.absolute()))}", query=options)


def _keep_private(database: str) -> None:
    """
    Create a missing database file, and take access to its files from other users.

    SQLite gives the files beside it the mode of the database. An existing file is never opened here: closing it would
    release the locks that SQLite holds on it.
    """
    with contextlib.suppress(OSError):  # SQLite reports what is wrong
        with contextlib.suppress(FileExistsError), open(database, "xb", opener=private_opener):
            pass
        for suffix in ("", "-wal", "-shm"):
            close_to_others(Path(f"{database}{suffix}"))


def _prepare_postgresql(engine: Engine) -> None:
    """
    Set the time zone of every session to UTC.

    PostgreSQL returns instants in the zone of the session. In another zone the first and last days of the calendar lie
    outside of what Python can hold.
    """

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        connection.execute("SET TIME ZONE 'UTC'")
        connection.commit()  # a later rollback would undo it


def open_engine(url: str, *, only_reads: bool = False) -> Engine:
    """
    Return an engine for SQLite or PostgreSQL; anything else, or a missing driver, is a ``SetupError``.

    ``only_reads``: nothing will be written, so that a SQLite database may lie on a read-only disk.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise SetupError("FACESETS_DATABASE_URL is not a database URL (sqlite:///... or postgresql://...)") from error
    kind = parsed.get_backend_name()
    if kind == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
        if "connect_timeout" not in parsed.query:
            parsed = parsed.update_query_dict({"connect_timeout": str(_CONNECT_SECONDS)})
    elif kind != "sqlite":
        raise SetupError(f"FACESETS_DATABASE_URL names {kind!r}: only SQLite and PostgreSQL are supported")
    else:
        parsed = parsed.set(drivername="sqlite", query={})
        parsed = _readable(parsed) if only_reads else parsed
    try:
        engine = create_engine(
            parsed,
            pool_size=READERS + 1,
            pool_pre_ping=kind == "postgresql",
            hide_parameters=True,  # names and vectors must not appear in a traceback
        )
    except ModuleNotFoundError as error:
        raise SetupError("the PostgreSQL driver is missing: install immich-facesets[postgres]") from error
    if kind == "sqlite":
        _prepare_sqlite(engine)
    else:
        _prepare_postgresql(engine)
    change_tracking.watch(engine)
    return engine


def _alembic(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def migrate(engine: Engine) -> None:
    """Bring the tables up to date; a database from a newer version is refused and left unchanged."""
    try:
        with engine.begin() as connection:
            _age(connection)
            command.upgrade(_alembic(connection), "head")
    except SQLAlchemyError as error:
        raise database_error(error) from error


def age(engine: Engine) -> Age:
    """
    Return whether the tables are absent, older than this version, or current. Changes nothing.

    A database from a newer version, or an unreadable one, raises an error whose message names the remedy.
    """
    try:
        with engine.connect().execution_options(facesets_read_only=True) as connection:
            return _age(connection)
    except SQLAlchemyError as error:
        raise database_error(error) from error


def _age(connection: Connection) -> Age:
    script = ScriptDirectory.from_config(_alembic(connection))
    found = MigrationContext.configure(connection).get_current_revision()
    if found is None:
        return "empty"
    try:
        script.get_revision(found)
    except CommandError as error:
        raise SetupError(
            f"the database was written by a newer version of immich-facesets (revision {found}): run that version, or "
            "restore the backup made before the upgrade"
        ) from error
    return "current" if found == script.get_current_head() else "older"


class Store:
    """
    The transaction runner: writers one at a time in their own thread, readers concurrently.

    Nothing is written unless ``lock``, where there is one, is held.
    """

    def __init__(self, engine: Engine, lock: DatabaseLock | None = None) -> None:
        self.engine = engine
        self._lock = lock
        self._changes = 0
        self._of_reads = options_of_reads(engine)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store-writer")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")

    @property
    def kind(self) -> str:
        return self.engine.dialect.name

    @property
    def changes(self) -> int:
        """
        How many transactions of this process changed data behind people and face sets, consequences included.

        Only this process writes while it holds the lock. So what was read after this number was is current as long as it
        stays the same: the cheapest question of all.
        """
        return self._changes

    async def write(self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one function as one transaction: committed when it returns, rolled back when it raises."""
        context = copy_context()  # carries the caller's context variables into the thread
        return await run_in(self._writer, lambda: context.run(lambda: self.write_now(function, *args, **kwargs)))

    async def read(self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one function on a consistent snapshot."""
        return await run_in(self._readers, lambda: self.read_now(function, *args, **kwargs))

    def write_now(self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """``write`` for callers without an event loop."""
        if self._lock is not None:
            self._lock.ensure()
        try:
            with self.engine.begin() as connection:
                change_tracking.forget(connection)
                result = function(connection, *args, **kwargs)
                has_changed = change_tracking.has_changed(connection)
                change_tracking.mark(connection)
        except SQLAlchemyError as error:
            raise database_error(error) from error
        self._changes += has_changed
        return result

    def read_now(self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """``read`` for callers without an event loop."""
        try:
            with self.engine.connect().execution_options(**self._of_reads) as connection, connection.begin():
                return function(connection, *args, **kwargs)
        except SQLAlchemyError as error:
            raise database_error(error) from error

    async def compact(self) -> None:
        """
        Rewrite the files of the database without what was deleted; blocks other writers meanwhile.

        Raises a ``FacesetsError`` when that could not be finished, such as while another program reads an older state.
        """
        await run_in(self._writer, lambda: compact(self.engine))

    def close(self) -> None:
        """Wait for running transactions to end, then close every connection."""
        self._writer.shutdown(wait=True)
        self._readers.shutdown(wait=True)
        self.engine.dispose()

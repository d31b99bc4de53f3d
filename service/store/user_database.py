"""
The database as single users see it: reads on connections of their own, on which views stand in the place of the tables.

The functions that read are the same as for the whole database. Their statements name the schema of the views, so that a
table without a view is an error.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import SQLAlchemyError

from service.store import user_views
from service.store.database_errors import database_error
from service.store.reading import READERS, options_of_reads, run_in

P = ParamSpec("P")
T = TypeVar("T")

_KEPT = "facesets_kept"
"""In ``info`` of a connection: the version of the database that its kept faces are of, and the users who have some."""

_ON_SQLITE = (
    "PRAGMA temp_store=MEMORY",
    "CREATE TABLE temp.viewer (source TEXT NOT NULL)",
    "CREATE TABLE temp.kept_faces (source TEXT, face_id INTEGER, PRIMARY KEY (source, face_id)) WITHOUT ROWID",
    "CREATE TABLE temp.kept_identities (source TEXT, number INTEGER, PRIMARY KEY (source, number)) WITHOUT ROWID",
    """
    CREATE TEMPORARY VIEW seen_faces AS
    SELECT face_id FROM temp.kept_faces WHERE source = (SELECT source FROM temp.viewer)
    """,
    """
    CREATE TEMPORARY VIEW seen_identities AS
    SELECT number FROM temp.kept_identities WHERE source = (SELECT source FROM temp.viewer)
    """,
)
_FACES_OF_USER = """
INSERT OR IGNORE INTO temp.kept_faces
SELECT own.source, face.face_id FROM main.assets own CROSS JOIN main.faces face ON face.sha256 = own.content
WHERE own.source = ? AND NOT own.is_gone
"""
_IDENTITIES_OF_USER = """
INSERT INTO temp.kept_identities
SELECT DISTINCT kept.source, member.identity
FROM temp.kept_faces kept CROSS JOIN main.memberships member ON member.face_id = kept.face_id WHERE kept.source = ?
"""

_ON_POSTGRESQL = (
    "CREATE TEMPORARY VIEW viewer AS SELECT nullif(current_setting('facesets.user', true), '') AS source",
    """
    CREATE TEMPORARY VIEW seen_faces AS
    SELECT face.face_id FROM {main}.faces face JOIN {main}.assets own ON own.content = face.sha256
    WHERE own.source = (SELECT source FROM pg_temp.viewer) AND NOT own.is_gone
    """,
    """
    CREATE TEMPORARY VIEW seen_identities AS
    SELECT member.identity AS number FROM {main}.memberships member
    JOIN pg_temp.seen_faces seen ON seen.face_id = member.face_id
    """,
)


class UserDatabase:
    """The reads of all users. It owns the engine, which nobody else may use."""

    def __init__(self, engine: Engine) -> None:
        is_sqlite = engine.dialect.name == "sqlite"
        self.engine = engine
        self._options = {
            **options_of_reads(engine),
            "schema_translate_map": {None: "temp" if is_sqlite else "pg_temp"},
            "postgresql_readonly": True,  # there a view of one table can be written; on SQLite none can
        }
        self._seen_by = _seen_by_on_sqlite if is_sqlite else _seen_by_on_postgresql
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="user-reader")
        event.listen(engine, "connect", _make_views_on_sqlite if is_sqlite else _make_views_on_postgresql)

    def reader(self, source: str) -> "UserReader":
        """Return the reads of the user whose pictures this source has."""
        return UserReader(self, source)

    async def read(
        self, source: str, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run one function on a consistent snapshot of what the user sees."""
        return await run_in(self._readers, lambda: self.read_now(source, function, *args, **kwargs))

    def read_now(
        self, source: str, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """``read`` for callers without an event loop."""
        try:
            with self.engine.connect().execution_options(**self._options) as connection:
                with connection.begin(), self._seen_by(connection, source) as kept:
                    found = function(connection, *args, **kwargs)
                connection.info[_KEPT] = kept  # not before: a rollback takes the rows away
                return found
        except SQLAlchemyError as error:
            raise database_error(error) from error

    def close(self) -> None:
        """Wait for running reads to end, then close every connection."""
        self._readers.shutdown(wait=True)
        self.engine.dispose()


class UserReader:
    """The reads of one user, as ``Reader``."""

    def __init__(self, database: UserDatabase, source: str) -> None:
        self._database = database
        self._source = source

    async def read(self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._database.read(self._source, function, *args, **kwargs)

    def read_now(self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return self._database.read_now(self._source, function, *args, **kwargs)


def _make_views_on_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for statement in (*_ON_SQLITE, *user_views.statements(main="main", temp="temp", plain="+")):
        cursor.execute(statement)
    cursor.close()


def _make_views_on_postgresql(connection: Any, _record: Any) -> None:
    (schema,) = connection.execute("SELECT quote_ident(current_schema())").fetchone()
    made: Iterator[str] = (statement.format(main=schema) for statement in _ON_POSTGRESQL)
    for statement in (*made, *user_views.statements(main=schema, temp="pg_temp", plain="")):
        connection.execute(statement)
    connection.commit()  # a later rollback would undo it


@contextmanager
def _seen_by_on_sqlite(connection: Connection, source: str) -> Iterator[tuple[int, frozenset[str]]]:
    """
    Let the views show what a user sees, and yield what the connection keeps then.

    The faces of a user are listed once, as long as no other connection changes the database: to look at the pictures of
    each face anew would take seconds in a large library.
    """
    version = int(connection.exec_driver_sql("PRAGMA main.data_version").scalar_one())
    kept_version, users = connection.info.get(_KEPT, (version, frozenset()))
    if kept_version != version:
        users = frozenset()
        connection.exec_driver_sql("DELETE FROM temp.kept_faces")
        connection.exec_driver_sql("DELETE FROM temp.kept_identities")
    if source not in users:
        connection.exec_driver_sql(_FACES_OF_USER, (source,))
        connection.exec_driver_sql(_IDENTITIES_OF_USER, (source,))
    connection.exec_driver_sql("INSERT INTO temp.viewer VALUES (?)", (source,))
    yield version, users | {source}
    connection.exec_driver_sql("DELETE FROM temp.viewer")


@contextmanager
def _seen_by_on_postgresql(connection: Connection, source: str) -> Iterator[None]:
    """Let the views show what a user sees, until the end of the transaction."""
    connection.exec_driver_sql("SELECT set_config('facesets.user', %s, true)", (source,))
    yield

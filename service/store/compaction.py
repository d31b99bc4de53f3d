"""The files of a database without the rows that were deleted: neither in unused parts of pages nor in the write-ahead log."""

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from immich_facesets.errors import TransientError
from service.store.database_errors import database_error
from service.store.tables import metadata

_BUSY_SECONDS = 10.0


def compact(engine: Engine, *, busy_seconds: float = _BUSY_SECONDS) -> None:
    """
    Rewrite the database. It takes as much free disk as its content, and no other writer may be at work.

    ``busy_seconds``: how long it waits for other programs that hold the database.

    A ``TransientError`` when another program holds it: then some of what was deleted may still be in its files.
    """
    try:
        if engine.dialect.name == "sqlite":
            _compact_sqlite(engine, round(busy_seconds * 1000))
        else:
            _compact_postgresql(engine, round(busy_seconds * 1000))
    except SQLAlchemyError as error:
        raise database_error(error) from error


def _compact_sqlite(engine: Engine, milliseconds: int) -> None:
    """
    Write the whole file anew through the write-ahead log, and empty that.

    A reader keeps the log from being emptied, and the checkpoint then says that it was busy.
    """
    with engine.connect().execution_options(facesets_autocommit=True) as connection:
        connection.exec_driver_sql(f"PRAGMA busy_timeout={milliseconds}")
        connection.exec_driver_sql("PRAGMA secure_delete=ON")
        connection.exec_driver_sql("VACUUM")
        (busy, *_) = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
    if busy:
        raise TransientError("another program reads the database, so its write-ahead log could not be emptied")


def _compact_postgresql(engine: Engine, milliseconds: int) -> None:
    """
    Write every table anew, and the statistics of the planner, which have samples of names and other values.

    The statistics need the owner of the database; another user gets a warning of the server, and they stay until the
    server's own vacuum. Rows that were deleted stay in the write-ahead log, its archives and the replicas.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"SET lock_timeout = {milliseconds}")
        try:
            for table in metadata.sorted_tables:
                connection.exec_driver_sql(f'VACUUM (FULL, ANALYZE) "{table.name}"')
            connection.exec_driver_sql("VACUUM (FULL) pg_catalog.pg_statistic")
        finally:
            connection.exec_driver_sql("RESET lock_timeout")
